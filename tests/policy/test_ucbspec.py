"""The bandit keeps to the paper's algorithm 4, over arms of ours."""

import math

import numpy as np
import pytest

from specsched.policy.base import Arm
from specsched.policy.baselines.bandit import every_arm
from specsched.policy.baselines.plans import PLAIN
from specsched.policy.baselines.ucbspec import UcbSpec, radius, ucbspec_controller, ucbspec_policy
from specsched.records import CostGrid
from tests.policy.grids import grid
from tests.policy.rounds import begun, context, nothing, play, record, views


def test_the_radius_is_the_paper_s():
    """L = 4, K = 5, t = 10, n = 3: 2 · √(4/9 · (1 + 2 ln(5 · 100 · 2 / ½))) = 2 · √(4/9 · 16.2018…)."""
    assert radius(4, 5, 10, 3) == pytest.approx(2 * math.sqrt(4 / 9 * (1 + 2 * math.log(2000))))
    assert radius(4, 5, 10, 3) == pytest.approx(5.3669, abs=1e-4)


def test_the_bandit_tries_every_arm_in_order_and_then_the_highest_bound():
    bandit, rewards, pulls = UcbSpec(3, 4), (1.0, 3.0, 2.0), [0, 0, 0]
    for rounds in range(200):
        arm = bandit.choose()
        if rounds < 3:
            assert arm == rounds
        else:
            bounds = [rewards[i] + radius(4, 3, rounds, pulls[i]) for i in range(3)]
            assert arm == int(np.argmax(bounds))
        bandit.observe(arm, rewards[arm])
        pulls[arm] += 1
    assert pulls[1] == max(pulls)


def test_every_draft_plain_and_doubling_gamma_is_an_arm_and_every_arm_is_tried():
    plan = ucbspec_policy(6, seed=1).decide(context())
    arms = every_arm(plan)
    assert set(arms) == {PLAIN, *(Arm(draft, gamma) for draft in ("good", "bad") for gamma in (1, 2, 4, 6))}
    assert (plan.draft_model, plan.gamma) == (arms[0].draft_model, arms[0].gamma)
    controller = begun(ucbspec_controller(grid()), plan)
    assert [play(controller, nothing)[0] for _ in arms] == arms


def test_short_requests_begin_with_different_arms():
    policy = ucbspec_policy(8, seed=1)
    plans = [policy.decide(context()) for _ in range(100)]
    assert {Arm(plan.draft_model, plan.gamma) for plan in plans} == set(every_arm(plans[0]))
    assert {plan.propensity for plan in plans} == {1 / 9}


@pytest.mark.parametrize("costs", [grid(), CostGrid(1, (), ())], ids=["profiled", "not profiled"])
def test_the_reward_is_throughput_so_that_a_slow_draft_loses(costs):
    """Both drafts accept all; the good one's step takes 0.05 of a plain round, the bad one's two of them."""
    controller = begun(ucbspec_controller(costs), ucbspec_policy(4, seed=1).decide(context()))
    played = []
    for _ in range(3000):
        [arm] = controller.choose(views("a"))
        step = 0.05 if arm.draft_model == "good" else 2.0
        controller.observe("a", record(arm, arm.gamma, seconds=(step, 1.0)))
        played.append(arm)
    assert max(set(played), key=played.count) == Arm("good", 4)
    assert played.count(Arm("bad", 4)) < played.count(Arm("good", 4)) / 2
