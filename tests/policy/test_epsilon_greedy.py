"""The tuner keeps to the γ that was fastest, looks around now and then, and begins anew when speed breaks down."""

import pytest

from specsched.policy.base import Arm
from specsched.policy.baselines.epsilon_greedy import EPSILON, LOW_ROUNDS, EpsilonGreedy
from specsched.policy.baselines.lever import BatchView
from tests.policy.rounds import record

BATCH = BatchView(1, {"good": 1}, 100, 8)


def pulled(lever, speed):
    """Play a round that commits at so many tokens a second, by γ; returns γ."""
    gamma = lever.choose(BATCH)
    lever.observe([record(Arm("good", gamma), 0, seconds=(0.0, 1 / speed(gamma)))])
    return gamma


@pytest.mark.parametrize("best", [1, 3, 8])
def test_the_fastest_gamma_is_played_but_for_epsilon(best):
    lever = EpsilonGreedy(8, seed=1)
    played = [pulled(lever, lambda gamma: 9.0 - abs(gamma - best)) for _ in range(3000)][1000:]
    assert set(played) == set(range(1, 9))
    assert played.count(best) / len(played) == pytest.approx(1 - EPSILON * 7 / 8, abs=0.03)


def test_what_was_learnt_goes_when_speed_has_dropped_for_good():
    lever = EpsilonGreedy(8, seed=1)
    for _ in range(500):
        pulled(lever, lambda gamma: 10.0 + gamma)
    assert lever.choose(BATCH) == 8
    played = [pulled(lever, lambda gamma: 2.0 - 0.1 * gamma) for _ in range(400)]
    assert played[:LOW_ROUNDS].count(8) > LOW_ROUNDS / 2
    assert max(set(played[200:]), key=played[200:].count) == 1


def test_the_average_forgives_a_single_slow_round():
    lever = EpsilonGreedy(8, seed=1)
    for number in range(600):
        pulled(lever, lambda gamma, slow=number % 7 == 0: 1.0 if slow else 10.0 + gamma)
    assert [pulled(lever, lambda gamma: 10.0 + gamma) for _ in range(50)].count(8) > 30
