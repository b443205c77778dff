"""Memory is a budget: the target first, then drafts that win most per byte; the rest comes back when it pays."""

import threading
import time

import pytest

from specsched.engine.drafts import Drafts, LoadedDraft
from specsched.engine.load import load_engine
from specsched.engine.memory import needed_bytes
from specsched.engine.proposers.ngram import NgramProposer
from specsched.engine.residency import Residency
from specsched.engine.settings import EngineSettings
from specsched.errors import PoolError
from specsched.policy.base import Arm
from specsched.pool.manifest import load_pool
from specsched.pool.weights import verify_weights
from specsched.records import ModelInfo
from tests.helpers.pools import save_pool
from tests.helpers.tiny import ScriptedController, job, run


def loaded(name):
    return LoadedDraft(ModelInfo(name, "model"), NgramProposer(name))


def settled(drafts, rounds=1):
    """Let rounds pass, and what is on its way arrive."""
    for _ in range(rounds):
        drafts.tend()
    deadline = time.monotonic() + 10
    while any(info.residency == "loading" for info in drafts.infos()) and time.monotonic() < deadline:
        time.sleep(0.001)
    return {info.id: info.residency for info in drafts.infos()}


def test_what_is_asked_for_comes_in_for_what_wins_less_per_byte():
    sizes = {"big": 90, "small": 10, "other": 50}
    drafts = Drafts(
        [loaded("big"), loaded("small")], loaded, evicted=[ModelInfo("other", "model")], limit_bytes=100, sizes=sizes
    )
    for _ in range(10):
        drafts.tend()
        drafts.won("small", 3)
        drafts.won("big", 1)
        drafts.missed("other")
    assert settled(drafts) == {"big": "resident", "small": "resident", "other": "evicted"}, "not worth it yet"
    for _ in range(30):
        drafts.missed("other")
    assert settled(drafts) == {"big": "evicted", "small": "resident", "other": "resident"}
    assert set(drafts.proposers) == {"small", "other"}


def test_two_drafts_of_equal_use_do_not_take_turns():
    drafts = Drafts([loaded("a")], loaded, evicted=[ModelInfo("b", "model")], limit_bytes=10, sizes={"a": 10, "b": 10})
    moves = 0
    for _ in range(300):
        before = set(drafts.proposers)
        for name in ("a", "b"):
            if name in drafts.proposers:
                drafts.won(name, 1)
            else:
                drafts.missed(name)
        settled(drafts)
        moves += set(drafts.proposers) != before
    assert moves == 0


def test_what_an_operator_unloads_stays_out_and_what_he_loads_makes_room_for_itself():
    drafts = Drafts([loaded("a")], loaded, evicted=[ModelInfo("b", "model")], limit_bytes=10, sizes={"a": 10, "b": 10})
    drafts.unload("a")
    for _ in range(50):
        drafts.missed("a")
    assert settled(drafts) == {"a": "evicted", "b": "evicted"}
    drafts.load("a").result(10)
    assert settled(drafts) == {"a": "resident", "b": "evicted"}
    drafts.load("b").result(10)
    assert settled(drafts) == {"a": "evicted", "b": "resident"}


def test_a_draft_larger_than_all_there_is_is_refused():
    drafts = Drafts([], loaded, evicted=[ModelInfo("a", "model")], limit_bytes=10, sizes={"a": 11})
    with pytest.raises(PoolError, match=r"a: takes 11 bytes, drafts may take 10"):
        drafts.load("a")


def test_a_draft_that_cannot_be_loaded_is_tried_once_and_then_only_by_name():
    tried = []

    def broken(name):
        tried.append(name)
        raise PoolError(f"{name}: damaged")

    drafts = Drafts([], broken, evicted=[ModelInfo("a", "model")], limit_bytes=10, sizes={"a": 10})
    for _ in range(30):
        drafts.missed("a")
        settled(drafts)
    assert tried == ["a"]
    with pytest.raises(PoolError):
        drafts.load("a").result(10)
    assert tried == ["a", "a"]


def test_a_draft_that_comes_for_the_first_time_may_give_way_before_it_is_there():
    gate = threading.Event()

    def slowly(name):
        gate.wait(10)
        return loaded(name)

    drafts = Drafts([], slowly, evicted=[ModelInfo("a", "model")], limit_bytes=10, sizes={"a": 10, "new": 10})
    drafts.load("new")
    for _ in range(30):
        drafts.missed("a")
    drafts.tend()
    gate.set()
    assert settled(drafts) == {"a": "resident"}


def test_without_a_limit_nothing_ever_leaves():
    residency = Residency(0)
    assert residency.victims("a", 10**12, {"b": 10**12}) == []


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return load_pool(save_pool(tmp_path_factory.mktemp("pool")))


def settings_of(memory_bytes):
    return EngineSettings(profile_seconds=0, kv_capacity_tokens=256, memory_bytes=memory_bytes)


def test_a_target_that_does_not_fit_is_refused_in_one_line(pool):
    with pytest.raises(PoolError, match=r"tiny: weights and KV take [\d,]+ bytes, workers.memory_bytes is 1,000;"):
        load_engine(pool, settings_of(1000), lambda _costs: ScriptedController())


def test_a_draft_that_does_not_fit_beside_the_target_waits_outside_and_plain_decoding_serves(pool):
    target = needed_bytes(pool.target, verify_weights(pool.target), 256)
    controller = ScriptedController(lambda _r, _n: Arm("draft", 2))
    engine = load_engine(pool, settings_of(target), lambda _costs: controller)
    info = {draft.id: draft for draft in engine.describe().drafts}
    assert (info["draft"].residency, info["ngram"].residency) == ("evicted", "resident")
    assert info["draft"].memory_bytes > 0
    run(engine, [job([1, 2, 3], max_tokens=12)])
    assert {record.draft_model for record in controller.observed["r"]} == {"none"}


def test_a_draft_comes_in_under_the_rows_that_ask_for_it(pool):
    target = needed_bytes(pool.target, verify_weights(pool.target), 256)
    draft = needed_bytes(pool.drafts[0], verify_weights(pool.drafts[0]), 256)
    controller = ScriptedController(lambda _r, _n: Arm("draft", 2))
    engine = load_engine(pool, settings_of(target + draft), lambda _costs: controller)
    plain = run(engine, [job([1, 2, 3], max_tokens=60)])["r"].tokens
    engine._drafts._evict("draft")
    controller.observed.clear()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and {d.id: d.residency for d in engine.describe().drafts}["draft"] != "resident":
        assert run(engine, [job([1, 2, 3], max_tokens=60)])["r"].tokens == plain
    assert run(engine, [job([1, 2, 3], max_tokens=60)])["r"].tokens == plain
    assert controller.observed["r"][-2].draft_model == "draft"
