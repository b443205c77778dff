from itertools import count

import pytest

from specsched.bench.anatomy import PARTS, REST, dissect
from tests.helpers.tiny import always, engine_of, job, perturbed, run, tiny_network

TARGET = tiny_network()


def dissected(draft: str, gamma: int):
    ticks = count()
    engine = engine_of(TARGET, {"d": perturbed(TARGET, 0.03)}, always(draft, gamma))
    return dissect(engine, [job([1, 2, 3], max_tokens=20), job([4], max_tokens=20)], lambda: float(next(ticks)))


def test_the_parts_of_a_round_are_told_apart_and_sum_up():
    found = dissected("d", 3)
    assert set(found.seconds) == {*PARTS, REST}
    assert all(seconds > 0 for seconds in found.seconds.values())
    assert found.whole_seconds > max(found.seconds.values())
    assert found.tokens > 1


def test_a_plain_round_drafts_nothing():
    found = dissected("none", 0)
    assert {part for part, seconds in found.seconds.items() if not seconds} == {p for p in PARTS if "draft" in p}
    assert found.tokens == pytest.approx(1)


def test_watching_changes_no_token():
    jobs = [job([1, 2, 3], max_tokens=12)]
    engine = engine_of(TARGET, {"d": perturbed(TARGET, 0.03)}, always("d", 3))
    before = run(engine, jobs)["r"].tokens
    ticks = count()
    dissect(engine, jobs, lambda: float(next(ticks)))
    assert run(engine, jobs)["r"].tokens == before
