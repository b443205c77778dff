"""Exponential weights as in the paper's algorithm 5, over the arms of the other bandit."""

import math
from random import Random

import pytest

from specsched.policy.base import Arm
from specsched.policy.baselines.exp3spec import Exp3Spec, exp3spec_controller, exp3spec_policy
from tests.policy.grids import grid
from tests.policy.rounds import begun, context, record, views


def test_chances_follow_the_estimated_losses():
    """K = 2, L = 4: reward 3 at p = ½ is a loss of (5 − 3) / (4 · ½) = 1; then η_2 = √(ln 2 / 4)."""
    bandit = Exp3Spec(2, 4, Random(0))
    assert bandit.chances == [0.5, 0.5]
    bandit.observe(0, 3.0)
    odds = math.exp(-math.sqrt(math.log(2) / 4))
    assert bandit.chances == pytest.approx([odds / (1 + odds), 1 / (1 + odds)])


def test_arms_are_drawn_by_their_chances():
    bandit = Exp3Spec(3, 4, Random(0))
    bandit.observe(bandit.choose(), 0.0)
    drawn = [bandit.choose() for _ in range(4000)]
    for arm, chance in enumerate(bandit.chances):
        assert drawn.count(arm) / 4000 == pytest.approx(chance, abs=0.03)


def test_a_single_arm_is_played_for_ever():
    bandit = Exp3Spec(1, 4, Random(0))
    for _ in range(20):
        assert bandit.choose() == 0
        bandit.observe(0, 1.0)


def test_the_first_arm_is_the_plan_s_and_the_best_one_wins_in_the_end():
    plan = exp3spec_policy(8, seed=1).decide(context())
    controller = begun(exp3spec_controller(grid()), plan)
    played = []
    for _ in range(6000):
        [arm] = controller.choose(views("a"))
        accepted = arm.gamma if arm.draft_model == "good" else 0
        controller.observe("a", record(arm, accepted, seconds=(0.02, 1.0)))
        played.append(arm)
    assert played[0] == Arm(plan.draft_model, plan.gamma)
    late = played[3000:]
    assert max(set(late), key=late.count) == Arm("good", 8)
