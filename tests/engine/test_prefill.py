"""Prompts are read once, in stretches that running rows hardly notice, and short ones overtake long ones."""

from itertools import pairwise

import pytest

from specsched.engine.kv.blocks import BlockKV
from specsched.engine.kv.rectangles import RectangularKV
from specsched.engine.pace import LEAST_POSITIONS, SHARE, Pace
from specsched.engine.settings import EngineSettings
from tests.helpers.tiny import Collected, always, engine_of, job, perturbed, run, tiny_network

TARGET = tiny_network()
DRAFT = perturbed(TARGET, 0.02)
HEAD = [(5 * i * i + 3 * i) % 64 for i in range(70)]
STORAGES = pytest.mark.parametrize("make_kv", [RectangularKV, BlockKV])
FRESH = EngineSettings(prefix_cache_tokens=0)


def alone(prompt, tokens=30):
    return run(engine_of(TARGET, settings=FRESH), [job(prompt, max_tokens=tokens)])["r"].tokens


@STORAGES
def test_a_known_head_is_reused_and_the_tokens_stay_the_targets(make_kv):
    engine = engine_of(TARGET, {"d": DRAFT}, always("d", 3), make_kv=make_kv)
    first = run(engine, [job(HEAD, max_tokens=30)])["r"]
    assert first.last.cached_tokens == 0
    for tail in ([1, 2, 3], [9] * 40, []):
        prompt = [*HEAD, *tail]
        again = run(engine, [job(prompt, max_tokens=30)])["r"]
        assert again.tokens == alone(prompt)
        assert {chunk.cached_tokens for chunk in again.chunks} == {64}
        engine.check_integrity()
    conversation = [*HEAD, *first.tokens, 4, 4, 4]
    again = run(engine, [job(conversation, max_tokens=30)])["r"]
    assert again.tokens == alone(conversation)
    assert again.last.cached_tokens == 96, "what was said is known as well"


@STORAGES
def test_a_head_serves_rows_that_run_beside_its_donor(make_kv):
    engine = engine_of(TARGET, make_kv=make_kv)
    donor, heir = Collected(), Collected()
    engine.submit(job(HEAD, request_id="donor", max_tokens=60), donor.chunks.append)
    engine.step()
    engine.submit(job([*HEAD, 7], request_id="heir", max_tokens=30), heir.chunks.append)
    engine.step()
    engine.cancel("donor")
    while engine.step():
        engine.check_integrity()
    assert heir.last.cached_tokens == 64
    assert heir.tokens == alone([*HEAD, 7])


def test_heads_never_cross_tenants():
    engine = engine_of(TARGET)
    run(engine, [job(HEAD, max_tokens=3, tenant="a")])
    assert run(engine, [job(HEAD, max_tokens=3, tenant="b")])["r"].last.cached_tokens == 0
    assert run(engine, [job(HEAD, max_tokens=3, tenant="a")])["r"].last.cached_tokens == 64
    assert run(engine, [job(HEAD, max_tokens=3)])["r"].last.cached_tokens == 0


@STORAGES
def test_what_is_kept_gives_way_to_rows_least_recently_used_first(make_kv):
    settings = EngineSettings(kv_capacity_tokens=200)
    engine = engine_of(TARGET, settings=settings, make_kv=make_kv)
    for start in range(4):
        run(engine, [job([start] * 64, request_id=str(start), max_tokens=4)])
        assert engine.load().kv_cached_tokens <= 200
    assert run(engine, [job([3] * 64, max_tokens=4)])["r"].last.cached_tokens == 48
    assert run(engine, [job([0] * 64, max_tokens=4)])["r"].last.cached_tokens == 0
    run(engine, [job([9] * 20, max_tokens=180)])
    assert engine.load().kv_cached_tokens == 0, "the row took all the room"
    engine.check_integrity()


def test_keeping_can_be_switched_off():
    engine = engine_of(TARGET, settings=FRESH)
    run(engine, [job(HEAD, max_tokens=3)])
    assert run(engine, [job(HEAD, max_tokens=3)])["r"].last.cached_tokens == 0
    assert engine.load().kv_cached_tokens == 0


# -------------------------------------------------------------------------------------------------- fair share


def test_a_short_prompt_overtakes_a_long_one_and_the_long_one_ends_all_the_same():
    engine = engine_of(TARGET, settings=EngineSettings(prefill_chunk_tokens=8, prefix_cache_tokens=0))
    ends = []
    for name, prompt in (("long", [1] * 200), ("short", [2] * 9)):
        engine.submit(
            job(prompt, request_id=name, max_tokens=1),
            lambda chunk, name=name: ends.append(name) if chunk.finish else 0,
        )
    while engine.step():
        pass
    assert ends == ["short", "long"]


def test_a_job_that_does_not_fit_is_overtaken_but_not_for_ever():
    engine = engine_of(TARGET, settings=EngineSettings(max_rows=3, kv_capacity_tokens=100))
    ends = []
    jobs = [("first", 30, 30), ("big", 20, 70), *((f"small{i}", 2, 8) for i in range(40))]
    for name, prompt, tokens in jobs:
        engine.submit(
            job([3] * prompt, request_id=name, max_tokens=tokens),
            lambda chunk, name=name: ends.append(name) if chunk.finish else 0,
        )
    while engine.step():
        pass
    assert ends[0].startswith("small")
    assert ends.index("big") < 30


class Machine:
    """Costs of a made-up machine: a + b per position."""

    def __init__(self, base, per_position, round_seconds):
        self.base, self.per_position, self.round_seconds = base, per_position, round_seconds

    def settle(self, pace, steps=60):
        for _ in range(steps):
            pace.observe_round(self.round_seconds)
            positions = pace.positions(beside=True)
            pace.observe_prefill(positions, self.base + self.per_position * positions, beside=True)
        return pace.positions(beside=True)


@pytest.mark.parametrize("machine", [Machine(0.004, 0.0005, 0.03), Machine(0.001, 0.00002, 0.004)])
def test_the_pace_settles_where_a_stretch_takes_its_share_of_a_round(machine):
    pace = Pace(256)
    positions = machine.settle(pace)
    seconds = machine.base + machine.per_position * positions
    assert seconds == pytest.approx(SHARE * machine.round_seconds, rel=0.15)
    assert pace.positions(beside=False) == 256


def test_the_pace_never_stops_and_never_exceeds_its_limit():
    assert Machine(1.0, 1.0, 0.001).settle(Pace(256)) == LEAST_POSITIONS
    assert Machine(1.0, 1.0, 0.001).settle(Pace(2)) == 2
    assert Machine(0.0, 1e-6, 1.0).settle(Pace(64)) == 64
    grown = Pace(256)
    taken = [Machine(0.0, 1e-6, 1.0).settle(grown, 1) for _ in range(5)]
    assert all(after <= 1.6 * before for before, after in pairwise(taken))


class Device:
    """Marks of a device that needs a second from each to the next, while its host has queued everything at once."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        self.seconds += 1.0
        return self.seconds

    def between(self, first, second):
        return second - first


def test_the_pace_follows_the_devices_time_not_the_hosts():
    engine = engine_of(TARGET, settings=FRESH)
    engine._prefill._marks = Device()
    engine.submit(job(HEAD, max_tokens=3), lambda _chunk: None)
    before = engine._prefill.pace.tokens_per_second
    engine.step()
    read = len(HEAD) - 1
    assert engine._prefill.pace.tokens_per_second == pytest.approx(before + 0.2 * (read - before))
