"""MetaSD-UCB chooses among drafts by how far they agree with the target."""

import math
from dataclasses import replace

import pytest

from specsched.policy.base import Arm
from specsched.policy.baselines.metasd import GAMMA, MetaSdUcb, divergence, metasd_controller, metasd_policy
from tests.policy.rounds import begun, context, play, record


def test_the_reward_is_the_mean_overlap_over_the_block():
    sampled = replace(record(Arm("good", 4), 2), overlaps=(0.9, 0.8, 0.3))
    assert divergence(sampled, 0) == pytest.approx((0.9 + 0.8 + 0.3) / 4)
    assert divergence(record(Arm("good", 4), 3), 0) == 0.75
    short = replace(record(Arm("good", 4), 1), gamma=1)
    assert divergence(short, 0) == 0.25


def test_after_one_pull_each_the_highest_bound_is_played():
    bandit, rewards, pulls = MetaSdUcb(3), (0.2, 0.9, 0.5), [0, 0, 0]
    for rounds in range(300):
        arm = bandit.choose()
        if rounds < 3:
            assert arm == rounds
        else:
            bounds = [rewards[i] + math.sqrt(2 * math.log(rounds) / pulls[i]) for i in range(3)]
            assert bounds[arm] == pytest.approx(max(bounds))
        bandit.observe(arm, rewards[arm])
        pulls[arm] += 1
    assert pulls[1] == max(pulls)


def test_the_draft_that_agrees_is_played_at_one_gamma_whatever_it_costs():
    controller = begun(metasd_controller(), metasd_policy(8, seed=1).decide(context()))
    played = [play(controller, lambda arm: arm.gamma if arm.draft_model == "bad" else 0)[0] for _ in range(300)]
    assert set(played) == {Arm("good", GAMMA), Arm("bad", GAMMA)}
    assert played.count(Arm("bad", GAMMA)) > 250
