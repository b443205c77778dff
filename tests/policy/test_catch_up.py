"""A draft that takes in a row's text for the first time: the guard pays for it, costs and other rows do not."""

from dataclasses import replace

from specsched.policy.base import Arm, RowView
from specsched.policy.controller import AdaptiveController
from specsched.policy.settings import PolicySettings
from specsched.records import Beta, Candidate, CostGrid, Plan, RoundRecord
from tests.policy.grids import grid

PLAN = Plan("good", 4, 8, pinned=False, candidates=(Candidate("good", (Beta(14, 6),) * 8),))


def dear(seconds_per_token: float) -> CostGrid:
    costs = grid()
    return replace(costs, drafts=tuple(replace(d, prefill_seconds_per_token=seconds_per_token) for d in costs.drafts))


def view(name: str, context: int = 64) -> RowView:
    return RowView(name, context, 100)


def play(controller: AdaptiveController, arms: list[Arm], names: str, propose_seconds: float) -> None:
    for name, arm in zip(names, arms, strict=True):
        controller.observe(
            name, RoundRecord(arm.draft_model, arm.gamma, 0, len(arms), propose_seconds, 1.2, planned_gamma=arm.gamma)
        )


def test_the_guard_pays_for_what_was_measured_and_costs_look_past_it():
    credits_left, tracked = [], []
    for first in (0.8, 8.0):  # the second takes the credit to its floor
        controller = AdaptiveController(PolicySettings(), grid(), seed=0)
        controller.begin("a", PLAN, sampled=False)
        arms = controller.choose([view("a")])
        assert arms[0].gamma > 0
        play(controller, arms, "a", first)
        credits_left.append(controller.credits[""])
        tracked.append(controller.costs.drafting("good", 1, 4, 64.0))
    assert credits_left[1] < credits_left[0] - 2.5
    assert tracked[0] == tracked[1]


def test_a_text_that_the_credit_does_not_cover_waits_and_holds_nobody_up():
    controller = AdaptiveController(PolicySettings(), dear(0.01), seed=0)
    controller.begin("a", PLAN, sampled=False)
    play(controller, controller.choose([view("a")]), "a", 0.8)
    controller.begin("b", PLAN, sampled=False)
    short, long = controller.choose([view("a"), view("b", 50_000)])
    assert short.gamma > 0
    assert long.gamma == 0


def test_a_text_that_pinned_itself_is_its_callers_will():
    controller = AdaptiveController(PolicySettings(), grid(), seed=0)
    controller.begin("a", replace(PLAN, pinned=True), sampled=False)
    play(controller, controller.choose([view("a")]), "a", 80.0)
    assert controller.credits == {"": PolicySettings().guard_start_tokens}
