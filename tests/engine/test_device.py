"""Models compute where the operator says, or not at all; how KV lies changes no token."""

import pytest
import torch

from specsched.engine.device import choose_device, choose_storage
from specsched.engine.kv.blocks import BlockKV
from specsched.engine.kv.rectangles import RectangularKV
from specsched.engine.load import load_engine
from specsched.engine.settings import EngineSettings
from specsched.errors import PoolError
from specsched.pool.manifest import load_pool
from tests.helpers.pools import save_pool
from tests.helpers.tiny import always, job, run


def test_a_device_that_is_not_here_is_named():
    with pytest.raises(PoolError, match=r"workers.device: 'cuda:77' is not here"):
        choose_device("cuda:77")
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_storage_follows_the_device_unless_it_is_named():
    assert choose_storage("auto", torch.device("cpu")) is RectangularKV
    assert choose_storage("auto", torch.device("cuda")) is BlockKV
    assert choose_storage("blocks", torch.device("cpu")) is BlockKV


def test_an_engine_in_blocks_says_the_same_tokens_under_another_numerics_id(tmp_path):
    pool = load_pool(save_pool(tmp_path))
    engines = [
        load_engine(
            pool, EngineSettings(profile_seconds=0, device="cpu", kv_storage=kind), lambda _costs: always("draft", 3)
        )
        for kind in ("rectangles", "blocks")
    ]
    jobs = [job([i, 7, i + 3], request_id=str(i), max_tokens=40) for i in range(1, 6)]
    first, second = ({name: out.tokens for name, out in run(engine, jobs).items()} for engine in engines)
    assert first == second
    assert len({engine.describe().numerics_id for engine in engines}) == 2
