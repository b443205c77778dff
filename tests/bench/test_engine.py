from itertools import count

import pytest

from specsched.bench.engine import EngineJob, class_speeds, concurrency, plain_ratio, play, verify_ratio
from specsched.bench.plain import Answer
from specsched.bench.reference import Question
from specsched.policy.controller import PlannedController
from specsched.records import CostGrid, CostPoint, ModelInfo, Plan, WorkerInfo
from tests.helpers.tiny import engine_of, perturbed, tiny_network

ASKED = [Question(f"q{i}", "code", (1, 2, 3 + i)) for i in range(4)]
JOB = EngineJob(per_class=2, max_tokens=12, repeats=1)


def ticking(step: float = 1.0):
    ticks = count()
    return lambda: next(ticks) * step


def tiny_engine():
    target = tiny_network()
    return engine_of(target, {"d": perturbed(target, 0.02)}, PlannedController())


def test_requests_play_together_and_give_what_they_give_alone():
    engine = tiny_engine()
    together = play(engine, ASKED, Plan(), 12, ticking())
    alone = [play(engine, [each], Plan("d", 3, 3), 12, ticking()).tokens[0] for each in ASKED]
    assert list(together.tokens) == alone
    assert together.tokens_per_second == pytest.approx(48)


def test_a_class_is_reported_with_an_arm_of_the_pool_and_its_own_plain_speed():
    engine = tiny_engine()
    info = engine.describe()
    (speed,) = class_speeds(engine, {"code": ASKED}, JOB, clock=ticking())
    assert speed.draft_model in {draft.id for draft in info.drafts}
    assert speed.same
    assert speed.over_plain == pytest.approx(1.0)  # by a clock that ticks once a request


def test_batches_are_faster_by_a_clock_that_ticks_once_a_batch():
    assert concurrency(tiny_engine(), ASKED, JOB, ticking()) == pytest.approx(4.0)


class Fixed:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def answer(self, question: Question, max_tokens: int) -> Answer:
        return Answer((1,) * max_tokens, self.seconds * (max_tokens - 1))


def test_the_ratio_is_theirs_over_ours():
    assert plain_ratio(Fixed(2.0), Fixed(3.0), ASKED, JOB) == pytest.approx(1.5)


def test_verification_s_cost_is_read_from_the_nearest_context_of_one_row():
    points = (CostPoint(1, 64, 2.0), CostPoint(8, 64, 2.6), CostPoint(8, 64, 9.0), CostPoint(1, 512, 1.0))
    model = ModelInfo("t", "target")
    info = WorkerInfo("w", model, (), 8, 64, 8, 64, (), "", CostGrid(1, points, ()))
    assert verify_ratio(info) == pytest.approx(1.3)
    assert verify_ratio(info, 7) == float("inf")
