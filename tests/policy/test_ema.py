"""The ladder: when it moves, what holds it, and where it sticks."""

from dataclasses import replace

from specsched.policy.base import Arm
from specsched.policy.baselines.ema import EmaSettings, Ladder
from specsched.policy.baselines.lever import LeverController
from tests.policy.rounds import FREE, begun, nothing, play, record


def climb(ladder, accepted, rounds):
    """Returns γ after each round; `accepted` is a mean of many rows, so that it needn't be whole."""
    gammas = []
    for _ in range(rounds):
        hundred = [record(Arm("good", ladder.gamma), int(accepted)) for _ in range(100)]
        more = round((accepted - int(accepted)) * 100)
        ladder.observe([replace(r, num_accepted=r.num_accepted + (i < more)) for i, r in enumerate(hundred)])
        gammas.append(ladder.gamma)
    return gammas


def test_the_ladder_starts_in_its_middle_and_looks_once_an_interval_after_its_warm_up():
    ladder = Ladder(EmaSettings(), 8)
    assert ladder.gamma == 3
    assert climb(ladder, 3, 15) == [3] * 14 + [5]


def test_a_step_down_needs_more_than_a_step_up_undoes():
    """From 5 down at 2.25 or less, from 3 up above 2.5: between them a rung stays what it is."""
    for start, accepted, end in ((5, 2.4, 5), (3, 2.4, 3), (5, 2.2, 3), (3, 2.6, 5)):
        ladder = Ladder(EmaSettings(rungs=(1, 3, 5) if start == 3 else (3, 5)), 8)
        assert ladder.gamma == start
        climb(ladder, accepted, 60)
        assert ladder.gamma == end


def test_the_ladder_without_probes_never_leaves_plain_decoding():
    ladder = Ladder(EmaSettings(), 8)
    climb(ladder, 0, 40)
    assert ladder.gamma == 0
    assert set(climb(ladder, 0, 100)) == {0}


def test_the_ladder_with_probes_comes_back():
    ladder = Ladder(EmaSettings(probes=True), 8)
    climb(ladder, 0, 40)
    for _ in range(60):
        ladder.observe([record(Arm("good", ladder.gamma), ladder.gamma)])
    assert ladder.gamma == 7


def test_rows_that_played_less_than_the_rung_don_t_move_it():
    controller = begun(LeverController(ladder := Ladder(EmaSettings(), 8)), replace(FREE, max_gamma=1))
    for _ in range(40):
        assert play(controller, nothing) == [Arm("good", 1)]
    assert ladder.gamma == 3
