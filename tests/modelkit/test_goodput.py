import numpy as np
import pytest

from specsched.errors import SetupError
from specsched.modelkit.goodput import PLAIN, RoundCosts, goodputs, headroom, marginal_goodput, round_costs
from specsched.modelkit.windows import MAX_GAMMA, model_offers
from specsched.policy.base import Arm
from specsched.records import CostGrid, CostPoint, DraftCost

COSTS = RoundCosts(tuple(1.0 + 0.1 * n for n in range(MAX_GAMMA + 1)), {"a": (0.0, 0.05), "b": (0.0, 0.05)})


def path(share: float, seed: int):
    bits = (np.random.default_rng(seed).random(400) < share).astype(np.float64)
    return model_offers(bits, bits, np.random.default_rng(0))


@pytest.fixture
def table():
    return goodputs(
        {"code": {"a": [path(0.9, 1)], "b": [path(0.2, 2)]}, "chat": {"a": [path(0.2, 3)], "b": [path(0.9, 4)]}}, COSTS
    )


def test_a_perfect_draft_commits_gamma_plus_one_a_round():
    costs = RoundCosts((1.0, 1.0, 1.0), {"a": (0.5, 0.25)})
    sure = model_offers(np.ones(300), np.ones(300), np.random.default_rng(0))
    short = RoundCosts((*costs.verify, *[9.0] * 6), costs.drafts)
    cell = goodputs({"x": {"a": [sure]}}, short)["x"]
    assert cell[Arm("a", 2)] == pytest.approx(3 / (0.5 + 2 * 0.25 + 1.0))
    assert cell[PLAIN] == 1.0


def test_complementary_drafts_leave_room_to_adapt(table):
    found = headroom(table)
    assert (found.arms["code"].draft_model, found.arms["chat"].draft_model) == ("a", "b")
    assert found.gain > 0.3
    assert found.over_plain > 2


def test_a_draft_is_worth_what_is_lost_without_it(table):
    worth = marginal_goodput(table)
    assert worth["a"] == pytest.approx(worth["b"], abs=0.1)
    assert worth["a"] > 0.2
    alone = headroom(table, lambda arm: arm.draft_model == "a")
    assert worth["b"] == pytest.approx(1 - alone.per_cell_goodput / headroom(table).per_cell_goodput)


def test_costs_come_from_the_grid_s_lone_rows():
    grid = CostGrid(
        1,
        (CostPoint(1, 64, 1.0), CostPoint(5, 64, 2.0), CostPoint(9, 64, 1.9), CostPoint(1, 2048, 9.0)),
        (DraftCost("a", 0.5, (CostPoint(1, 64, 0.1), CostPoint(8, 64, 0.9))),),
    )
    costs = round_costs(grid)
    assert costs.seconds("none", 0) == 1.0
    assert costs.seconds("a", 2) == pytest.approx(0.5 + 0.2 + 1.45)
    assert costs.verify[4] == costs.verify[8] == 1.9  # the spike before it is cut: never cheaper for more


def test_an_empty_grid_is_refused():
    with pytest.raises(SetupError, match="too short"):
        round_costs(CostGrid(1, (), ()))
