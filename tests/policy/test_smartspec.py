"""The lever maximises goodput, and its rate is an average of what was judged."""

from dataclasses import replace

import numpy as np
import pytest

from specsched.policy.base import Arm
from specsched.policy.baselines.lever import BatchView, LeverController
from specsched.policy.baselines.plans import PLAIN
from specsched.policy.baselines.smartspec import START_RATE, WEIGHT, GoodputLever, expected_tokens
from specsched.policy.cost import CostModel, Group
from tests.policy.grids import grid
from tests.policy.rounds import FREE, begun, everything, nothing, play, record


def test_expected_tokens_are_the_sum_of_the_geometric_series():
    for rate in (0.0, 0.3, 0.99, 1.0):
        for gamma in range(9):
            assert expected_tokens(rate, gamma) == pytest.approx(sum(rate**j for j in range(gamma + 1)))


@pytest.mark.parametrize("rows", [1, 2, 5, 16])
@pytest.mark.parametrize("slope", [0.0, 0.05, 0.4])
def test_the_lever_has_the_best_goodput_of_all(rows, slope):
    costs = grid(slope=slope)
    model, lever = CostModel(costs), GoodputLever(costs)
    for accepted in (0, 1, 3, 4):
        for _ in range(10):
            lever.observe([record(Arm("good", 4), accepted)])
        rate = lever.rate("good")
        goodput = [
            rows
            * sum(rate**j for j in range(gamma + 1))
            / (model.draft(Group("good", rows, gamma), 100) + model.verify(rows * (gamma + 1), 100))
            for gamma in range(9)
        ]
        chosen = lever.choose(BatchView(rows, {"good": rows}, 100, 8))
        assert chosen == int(np.argmax(goodput))


def test_positions_that_are_seldom_drafted_are_seldom_paid_for():
    """A draft that stops as soon as it errs: to ask for more costs nothing where nothing more comes."""
    levers = GoodputLever(grid(step=0.5)), GoodputLever(grid(step=0.5))
    for _ in range(40):
        for accepted in (1, 8):
            asked = record(Arm("good", 8), accepted)
            for lever, drafted in zip(levers, (accepted, 8), strict=True):
                lever.observe([replace(asked, gamma=drafted)])
    assert levers[0].rate("good") == levers[1].rate("good")
    short, whole = (lever.choose(BatchView(1, {"good": 1}, 100, 8)) for lever in levers)
    assert whole < short


def test_the_rate_follows_the_judged_tokens_of_all_rows():
    lever = GoodputLever(grid())
    short = replace(record(Arm("good", 4), 1), gamma=1)  # asked for 4, drafted 1: a miss at 2
    cut = replace(record(Arm("good", 4), 2), censored=True)
    lever.observe([record(Arm("good", 4), 4), record(Arm("good", 4), 0), short, cut, record(PLAIN, 0)])
    assert lever.rate("good") == pytest.approx(START_RATE + WEIGHT * (7 / 9 - START_RATE))
    assert lever.rate("bad") == START_RATE


def test_a_greater_load_shortens_the_lookahead():
    lever = GoodputLever(grid(slope=0.3))
    gammas = [lever.choose(BatchView(rows, {"good": rows}, 100, 8)) for rows in (1, 4, 16, 64)]
    assert gammas == sorted(gammas, reverse=True)
    assert gammas[-1] == 0


def test_one_round_of_many_rows_moves_the_rate_once():
    lever = GoodputLever(grid())
    play(begun(LeverController(lever), FREE, FREE, FREE), everything, ("a", "b", "c"))
    assert lever.rate("good") == pytest.approx(START_RATE + WEIGHT * (1 - START_RATE))


def test_an_average_learns_nothing_while_nothing_is_drafted():
    controller = begun(LeverController(lever := GoodputLever(grid(step=0.5))), FREE)
    while play(controller, nothing) != [PLAIN]:
        pass
    rate = lever.rate("good")
    assert rate < START_RATE
    assert {play(controller, everything)[0] for _ in range(30)} == {PLAIN}
    assert lever.rate("good") == rate
