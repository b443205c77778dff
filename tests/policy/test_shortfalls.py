"""Drafts that draft fewer tokens than they were asked for are priced by what they draft."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from specsched.bench.evaluation.contenders import Contender
from specsched.bench.evaluation.world import Path, World, WorldRequest
from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.arms import Prices
from specsched.policy.base import Arm, Observation, RowView
from specsched.policy.batch import Batch, Lane
from specsched.policy.controller import AdaptiveController
from specsched.policy.cost import CostModel, TrackedCosts
from specsched.policy.hint import choice
from specsched.policy.settings import PolicySettings
from specsched.policy.shortfalls import Shortfalls
from specsched.records import ClassProbabilities, RoundRecord
from tests.policy.grids import grid
from tests.policy.rounds import FREE, context

SETTINGS = PolicySettings()
PI = ClassProbabilities(("chat",), (1.0,))
MANY = 4000


def drafted(gamma, planned, draft="good", accepted=0):
    return RoundRecord(draft, gamma, accepted, 1, 0.2 * gamma, 1 + 0.05 * gamma, planned_gamma=planned)


def taught(lengths, planned=3, draft="good", into=None):
    """Shortfalls after rounds that drafted these numbers of tokens in turn."""
    shortfalls = into or Shortfalls()
    for number in range(MANY):
        shortfalls.observe(drafted(lengths[number % len(lengths)], planned, draft))
    return shortfalls


def test_chances_are_shares_of_rounds():
    found = taught((0, 1, 3, 3)).of("good", 5)
    assert found == pytest.approx((0.25, 0.5, 0.5, 0.5, 0.5), abs=0.01)  # beyond what was asked for: as before it


def test_a_round_says_nothing_of_positions_that_it_was_not_asked_for():
    shortfalls = taught((1,), planned=1, into=taught((0, 1, 2, 3)))
    assert shortfalls.of("good", 3)[0] == pytest.approx(0.02, abs=0.02)
    before = taught((0, 1, 2, 3)).of("good", 3)
    assert shortfalls.of("good", 3)[1] < before[1]  # who is asked for one token and drafts it did not stop at two


def test_a_draft_that_never_fell_short_is_expected_never_to():
    shortfalls = taught((3,))
    shortfalls.observe(RoundRecord("none", 0, 0, 1, 0.0, 1.0))
    assert not any(shortfalls.of(draft, 3) for draft in ("good", "none", "unseen"))
    shortfalls.observe(drafted(0, 3))
    assert 0 < shortfalls.of("good", 1)[0] < 0.01


@pytest.mark.parametrize("rows", [1, 3])
def test_a_price_is_the_mean_over_all_that_rows_may_draft(rows):
    lengths = (0, 1, 1, 3)
    costs, shortfalls = CostModel(grid()), taught(lengths)
    asked = context(("good", "bad"), max_num_speculative_tokens=3)
    prices = Prices(costs, shortfalls)
    price = prices.of(("good", "bad"), choice(asked, 8), replace(asked, running_rows=rows - 1))
    step = costs.draft_line("good", rows, 64)[1]
    for gamma, seconds in zip((1, 2, 3), price.rounds[0], strict=True):
        widest = [min(gamma, max(each)) for each in product(lengths, repeat=rows)]
        mean = np.mean([step * width + costs.verify(rows * (width + 1), 64) for width in widest])
        assert seconds == pytest.approx(mean, rel=0.01)
    unseen = Prices(costs, Shortfalls()).of(("good", "bad"), choice(asked, 8), replace(asked, running_rows=rows - 1))
    assert price.rounds[1].tolist() == unseen.rounds[1].tolist()  # to the bit


def test_a_bound_s_time_is_the_mean_over_all_that_a_batch_may_draft():
    """Two drafts, rows with room for less, and a pinned one: by enumeration."""
    of = {"good": (0, 1, 3, 3), "bad": (1, 4)}
    shortfalls = taught(of["bad"], 4, "bad", into=taught(of["good"], 4))
    lanes = [Lane("good", 4), Lane("good", 2), Lane("bad", 3), Lane("bad", 1, pinned=True), Lane()]
    model = CostModel(grid())
    batch = Batch(lanes, TrackedCosts(model, shortfalls), 64)
    for bound in range(5):
        arms = batch.arms(bound)
        chances = [
            of[arm.draft_model] if arm.gamma and not lane.pinned else (9,)
            for arm, lane in zip(arms, lanes, strict=True)
        ]
        times = []
        for lengths in product(*chances):
            got = [min(arm.gamma, length) for arm, length in zip(arms, lengths, strict=True)]
            deepest = {arm.draft_model: 0 for arm in arms if arm.gamma}
            for arm, gamma in zip(arms, got, strict=True):
                if arm.gamma:
                    deepest[arm.draft_model] = max(deepest[arm.draft_model], gamma)
            times.append(sum(0.2 * each for each in deepest.values()) + model.verify(5 * (max(got) + 1), 64))
        assert batch.expected_seconds[bound] == pytest.approx(np.mean(times), rel=0.01)
    full = Batch(lanes, TrackedCosts(model), 64)
    assert full.expected_seconds == full.seconds == batch.seconds


def test_expected_tokens_count_positions_that_are_not_drafted_as_misses():
    """E[tokens] = 1 + Σ_j P(at least j drafted and the first j accepted): .75 + .5 · .5."""
    policy = AdaptivePolicy(SETTINGS, ("chat",), seed=0)
    rounds = [(0, 0), (1, 1), (2, 1), (2, 2)]
    for number in range(MANY // 2):
        record = drafted(*((length := rounds[number % 4])[0], 2), accepted=length[1])
        policy.observe(Observation("", PI, sampled=False, coupled=True, round=record))
    plan = policy.decide(replace(context(("good",), max_num_speculative_tokens=2), explain=True))
    tokens = {score.gamma: score.acceptance_length for score in plan.scores}
    assert tokens == pytest.approx({0: 1.0, 1: 1.75, 2: 2.0}, rel=0.03)


def test_costs_are_tracked_by_what_was_drafted():
    """Rounds that take what their drafted tokens take say nothing against the profile, nor for a faster draft."""
    controller = AdaptiveController(SETTINGS, grid(), seed=0)
    controller.begin("a", replace(FREE, pinned=True, gamma=5), sampled=False)
    for number in range(100):
        assert controller.choose([RowView("a", 64, 1000)]) == [Arm("good", 5)]
        controller.observe("a", drafted(1 + number % 2, 5))
    assert controller.costs.line("good", 1, 64)[1] == pytest.approx(0.2)
    assert controller.costs.shortfalls.of("good", 3)[2] > 0.9
    controller.reprice(grid(step=0.3))
    assert controller.costs.shortfalls.of("good", 3)[2] > 0.9  # what a draft does is no matter of the clock


class Short:
    """A world of one class where "bad" drafts all and "good" stops before it errs."""

    def __init__(self, requests=40, tokens=160, size=8):
        random = np.random.default_rng(5)
        self._requests = tuple(self._request(random, tokens, size) for _ in range(requests))
        self.costs = grid(step=0.1, slope=0.12)

    def world(self):
        return World(self._requests, ("good", "bad"), 200, self.costs, self.costs, None, 0)

    @staticmethod
    def _request(random, tokens, size):
        offered = np.where(random.random(tokens) < 0.35, size, 1)
        hazards = np.full((2, tokens, size), 0.7)
        hazards[0] = np.where(offered == size, 0.97, 0.6)[:, None]
        lengths = np.stack((offered, np.full(tokens, size)))
        return WorldRequest(PI, 32, 1, "chat", 0, Path(hazards, lengths, lengths))


def test_a_draft_that_stops_early_is_played_long_where_that_is_best():
    world = Short().world()
    fixed = {
        (draft, gamma): Contender("fixed", draft, gamma).run(world).goodput
        for draft in world.drafts
        for gamma in range(1, 9)
    }
    best = max(fixed, key=fixed.get)
    run = Contender("adaptive").run(world)
    late = run.drafted[20:].sum(0) / run.drafted[20:].sum()
    assert best[0] == "good"
    assert best[1] >= 6
    assert late[1] > 0.8
    assert run.gammas[20:].mean() > 4
    assert run.goodput > 0.95 * fixed[best]
