"""Attention that follows the tables is the attention that gathers."""

import shutil

import pytest
import torch
from torch.nn.attention.flex_attention import flex_attention

from specsched.engine.gpu.forward import StaticForward
from specsched.engine.gpu.graphs import Uncaptured
from specsched.engine.gpu.paging import disagreement, follows_tables
from specsched.engine.kv.blocks import BlockKV
from specsched.engine.model import LanguageModel
from specsched.engine.paged import _capped, page_mask
from tests.helpers.tiny import tiny_network

CPU = torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")


@pytest.mark.parametrize(("span", "softcap"), [(None, None), (7, None), (None, 3.0)])
def test_both_ways_agree_over_ragged_rows(span, softcap):
    assert disagreement(CPU, torch.float32, span, softcap) < 1e-5


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("default")  # compilers warn of themselves
@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler is here")
@pytest.mark.parametrize(("span", "softcap"), [(None, None), (7, None), (None, 3.0)])
def test_a_compiled_kernel_that_visits_the_blocks_agrees_too(span, softcap):
    """Uncompiled, all scores are computed and no table is followed; the CPU's kernel follows it as a GPU's does."""
    compiled = torch.compile(flex_attention)

    def attend(query, keys, values, mask, scaling, softcap):
        capped = None if softcap is None else _capped(softcap)
        return compiled(query, keys, values, capped, mask, scaling, enable_gqa=True)

    assert disagreement(CPU, torch.float32, span, softcap, attend=attend) < 1e-5


def test_the_kernel_is_sent_to_a_row_s_own_blocks_and_to_no_other():
    table = torch.tensor([[3, 1, 0], [5, 0, 0], [0, 0, 0]])
    positions = torch.tensor([[20, 21], [7, 8], [0, 1]])
    mask = page_mask(positions, table, torch.tensor([2, 1, 0]), (8, 16), None)
    visited = [
        row[: int(n)].tolist() for row, n in zip(mask.kv_indices[:, 0, 0], mask.kv_num_blocks[:, 0, 0], strict=True)
    ]
    assert visited == [[3, 1], [5], [0]]
    slots = torch.arange(8 * 16)
    seen = [
        [slot for slot in slots.tolist() if mask.mask_mod(torch.tensor(b), 0, torch.tensor(q), torch.tensor(slot))]
        for b, q in ((0, 0), (1, 0), (2, 1))
    ]
    assert seen == [[*range(16, 21), *range(48, 64)], [*range(80, 88)], [0, 1]]


@pytest.mark.parametrize("kind", ["llama", "gemma3_text"])
def test_a_model_over_blocks_in_place_computes_what_one_that_gathers_computes(kind):
    out = []
    for in_place in (True, False):
        model = LanguageModel(
            tiny_network(kind),
            "m",
            max_rows=2,
            make_kv=lambda layers, rows, in_place=in_place: BlockKV(layers, rows, 16, in_place=in_place),
        )
        rows = [model.kv.open() for _ in range(2)]
        for row, text in zip(rows, ([1, 2, 3], [7] * 21), strict=True):
            model.catch_up([row], [text])
        forward = StaticForward(model, Uncaptured())
        ids, counts = torch.tensor([[5, 6, 7], [8, 0, 0]]), torch.tensor([3, 1])
        out.append(forward(forward.place(rows, [3, 1]), ids, counts))
        assert torch.isfinite(out[-1]).all()
    torch.testing.assert_close(out[0][0], out[1][0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(out[0][1, :1], out[1][1, :1], rtol=1e-4, atol=1e-4)


def test_a_cpu_gathers():
    assert not follows_tables(CPU, torch.float32, 64)
