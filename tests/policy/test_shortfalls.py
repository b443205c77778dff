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
from specsched.policy.counterfactual import Retraced
from specsched.policy.exchange import cells_from_json, cells_to_json
from specsched.policy.hint import choice
from specsched.policy.memory import EVERY_CLASS, Cell
from specsched.policy.settings import PolicySettings
from specsched.policy.shortfalls import Shortfalls
from specsched.policy.table import Table
from specsched.records import ClassProbabilities, RoundRecord
from tests.policy.grids import grid
from tests.policy.rounds import FREE, context

SETTINGS = PolicySettings()
PI = ClassProbabilities(("chat",), (1.0,))
MANY = 4000


def drafted(gamma, planned, draft="good", accepted=0):
    return RoundRecord(draft, gamma, accepted, 1, 0.2 * gamma, 1 + 0.05 * gamma, planned_gamma=planned)


def taught(rounds, planned=3, draft="good", into=None):
    """Shortfalls after rounds that drafted and accepted so many tokens, in turn."""
    shortfalls = into or Shortfalls()
    for number in range(MANY):
        gamma, accepted = rounds[number % len(rounds)]
        shortfalls.observe(drafted(gamma, planned, draft, accepted))
    return shortfalls


def survival(rounds, positions=8):
    """P(the first j tokens are drafted and accepted), j from 1 on."""
    return [float(np.mean([accepted > j for _, accepted in rounds])) for j in range(positions)]


ROUNDS = ((0, 0), (1, 1), (3, 1), (3, 3))


def test_shares_are_of_rounds_that_fail_before_a_position():
    found = taught(ROUNDS).of("good", 5)
    assert found == pytest.approx((1, 2 / 3, 2 / 3, 2 / 3, 2 / 3), abs=0.04)  # beyond what was asked for: as before it


def test_a_round_says_nothing_of_positions_that_it_was_not_asked_for():
    often = taught(((1, 0),), planned=1, into=taught(ROUNDS))
    assert often.of("good", 1)[0] < 0.1
    assert often.of("good", 3)[1] < taught(ROUNDS).of("good", 3)[1]  # its evidence is old by now


def test_a_draft_that_never_fell_short_is_expected_never_to():
    shortfalls = taught(((3, 0), (3, 2)))
    shortfalls.observe(RoundRecord("none", 0, 0, 1, 0.0, 1.0))
    shortfalls.observe(replace(drafted(0, 3), censored=True))
    assert not any(shortfalls.of(draft, 3) for draft in ("good", "none", "unseen"))
    shortfalls.observe(drafted(0, 3))
    assert 0 < shortfalls.of("good", 1)[0] < 0.01


@pytest.mark.parametrize("rows", [1, 3])
def test_a_price_is_the_mean_over_all_that_rows_may_draft(rows):
    costs, shortfalls = CostModel(grid()), taught(ROUNDS)
    asked = replace(context(("good", "bad"), max_num_speculative_tokens=3), running_rows=rows - 1)
    step = costs.draft_line("good", rows, 64)[1]
    priced, unseen = (
        Prices(costs, each)
        .of(("good", "bad"), choice(asked, 8), asked)
        .seconds(np.ones((2, 3)), np.array([survival(ROUNDS)] * 2))
        for each in (shortfalls, Shortfalls())
    )
    for gamma, seconds in zip((1, 2, 3), priced[0], strict=True):
        widest = [min(gamma, max(each)) for each in product([length for length, _ in ROUNDS], repeat=rows)]
        mean = np.mean([step * width + costs.verify(rows * (width + 1), 64) for width in widest])
        assert seconds == pytest.approx(mean, rel=0.01)
    full = [step * gamma + costs.verify(rows * (gamma + 1), 64) for gamma in (1, 2, 3)]
    assert priced[1].tolist() == unseen[1].tolist() == unseen[0].tolist() == full  # to the bit


def test_what_is_sure_to_be_accepted_is_paid_for_in_full():
    costs, asked = CostModel(grid()), context(("good",))
    price = Prices(costs, taught(ROUNDS)).of(("good",), choice(asked, 8), asked)
    assert price.seconds(np.ones((1, 8)), np.ones((1, 8))) == pytest.approx(price.rounds)


def test_a_bound_s_time_is_the_mean_over_all_that_a_batch_may_draft():
    """Two drafts, rows with room for less, and a pinned one: by enumeration."""
    of = {"good": ROUNDS, "bad": ((1, 0), (4, 2))}
    shortfalls = taught(of["bad"], 4, "bad", into=taught(of["good"]))
    tokens = {draft: [1.0, *(1 + np.cumsum(survival(rounds)))] for draft, rounds in of.items()}
    lanes = [Lane(draft, limit, tokens=tokens[draft]) for draft, limit in (("good", 3), ("good", 2), ("bad", 4))]
    lanes += [Lane("bad", 1, pinned=True), Lane()]
    model = CostModel(grid())
    batch = Batch(lanes, TrackedCosts(model, shortfalls), 64)
    assert len(batch.expected_seconds) == 5
    for bound, expected in enumerate(batch.expected_seconds):
        arms = batch.arms(bound)
        own = [
            of[arm.draft_model] if arm.gamma and not lane.pinned else ((9, 0),)
            for arm, lane in zip(arms, lanes, strict=True)
        ]
        times = [_seconds(model, arms, [length for length, _ in each]) for each in product(*own)]
        assert expected == pytest.approx(np.mean(times), rel=0.01)
    full = Batch(lanes, TrackedCosts(model), 64)
    assert full.expected_seconds == full.seconds == batch.seconds


def _seconds(model, arms, lengths):
    """Of a round whose drafts would draft so many tokens at most."""
    deepest = dict.fromkeys((arm.draft_model for arm in arms if arm.gamma), 0)
    for arm, length in zip(arms, lengths, strict=True):
        if arm.gamma:
            deepest[arm.draft_model] = max(deepest[arm.draft_model], min(arm.gamma, length))
    return 0.2 * sum(deepest.values()) + model.verify(len(arms) * (max(deepest.values()) + 1), 64)


def test_expected_tokens_count_positions_that_are_not_drafted_as_misses():
    """E[tokens] = 1 + Σ_j P(at least j drafted and the first j accepted): 1 + 3/4 + 1/4."""
    policy = AdaptivePolicy(SETTINGS, ("chat",), seed=0)
    rounds = [(0, 0), (1, 1), (2, 1), (2, 2)]
    for number in range(MANY // 2):
        gamma, accepted = rounds[number % 4]
        record = drafted(gamma, 2, accepted=accepted)
        policy.observe(Observation("", PI, sampled=False, coupled=True, round=record))
    plan = policy.decide(replace(context(("good",), max_num_speculative_tokens=2), explain=True))
    tokens = {score.gamma: score.acceptance_length for score in plan.scores}
    assert tokens == pytest.approx({0: 1.0, 1: 1.75, 2: 2.0}, rel=0.03)


def decided(policy):
    """Goodput of every γ, from 1 to 8, and of plain decoding."""
    return [each.goodput_tokens_per_second for each in policy.decide(replace(context(("good",)), explain=True)).scores]


def stopping(version="1111", rounds=()):
    """A policy that has seen a draft of this version stop before it errs."""
    policy = AdaptivePolicy(SETTINGS, ("chat",), seed=0, versions={"good": version})
    for accepted in rounds:
        record = drafted(accepted, 8, accepted=accepted)
        policy.observe(Observation("", PI, sampled=False, coupled=True, round=record))
    return policy


def test_how_often_drafts_fall_short_is_kept_shared_and_taken_back():
    before, after = stopping(rounds=(0, 2, 1, 4) * 20), stopping()
    cells = cells_from_json(cells_to_json(before.export()))
    after.restore(cells)
    assert decided(after) == pytest.approx(decided(before))
    without = stopping()
    without.restore([cell for cell in cells if cell.prompt_class != EVERY_CLASS])  # as older versions kept it
    assert decided(without)[7] < 0.7 * decided(before)[7]
    taken_back = [replace(cell, accepted=-2 * cell.accepted, rejected=-2 * cell.rejected) for cell in cells]
    after.restore([cell for cell in taken_back if cell.prompt_class == EVERY_CLASS])
    assert decided(after) == pytest.approx(decided(without))
    assert not [cell for cell in after.export() if cell.prompt_class == EVERY_CLASS]
    assert {row.prompt_class for row in Table(before, cells, grid(), {}).rows()} == {"chat"}


def test_a_new_version_falls_short_like_its_kin_until_it_is_seen():
    before, after = stopping(rounds=(0, 2, 1, 4) * 20), stopping("2222")
    after.restore([*before.export(), Cell(False, False, "good", "2222", EVERY_CLASS, 10**9, 1.0, 1.0)])  # noqa: FBT003
    kept = {cell.position: cell for cell in after.export() if cell.prompt_class == EVERY_CLASS}
    assert set(kept) == set(range(1, 9))
    for position, cell in kept.items():
        assert cell.draft_version == "2222"
        assert cell.accepted + cell.rejected == pytest.approx(SETTINGS.kin_strength), position


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


def test_hindsight_tells_of_shortfalls_what_its_rounds_would_have():
    """The same rounds, played or retraced; a draft that never fell short stays one."""
    drafted_tokens, accepted = (np.array(column) for column in zip(*ROUNDS * 20, strict=True))
    stand = (np.arange(3) < accepted[:, None]).astype(float)
    shortfalls = Shortfalls()
    for _ in range(40):
        shortfalls.look_back(Retraced.of(stand, drafted_tokens).outcome("good"))
        shortfalls.look_back(Retraced.of(stand, np.full(80, 3)).outcome("bad"))
    assert shortfalls.of("good", 3) == pytest.approx(taught(ROUNDS).of("good", 3), abs=0.04)
    assert not any(shortfalls.of("bad", 3))
