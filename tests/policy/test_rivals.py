"""Drafts look back at requests that did not play them, within a share of the worker's time."""

import numpy as np
import pytest

from specsched.bench.evaluation.drive import Drive
from specsched.bench.evaluation.row import Row
from specsched.bench.simulation.costs import DRAFTS
from specsched.bench.simulation.scenarios import SCENARIOS
from specsched.classify.base import PROMPT_CLASSES
from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.controller import AdaptiveController
from specsched.policy.cost import CostModel, TrackedCosts
from specsched.policy.counterfactual import Retraced
from specsched.policy.rivals import Rivals
from specsched.policy.settings import PolicySettings
from specsched.records import Beta, Candidate, CostGrid, CostPoint, DraftCost, RoundRecord


def costs():
    """Taking in a token costs 1 s with "dear", 0.1 s with "cheap" and nothing with "ngram"."""
    steps = (CostPoint(1, 64, 0.1),)
    prefill = {"dear": 1.0, "cheap": 0.1, "ngram": 0.0}
    drafts = tuple(DraftCost(name, 0.0, steps, seconds) for name, seconds in prefill.items())
    return TrackedCosts(CostModel(CostGrid(1, (CostPoint(1, 64, 1.0),), drafts)))


def candidate(name, counts=2.0):
    return Candidate(name, (Beta(counts / 2, counts / 2),) * 4)


def account(seconds, share=0.01):
    rivals = Rivals(PolicySettings(hindsight_share=share))
    rivals.earn(seconds)
    return rivals


EVERY = [candidate("dear"), candidate("cheap"), candidate("ngram")]


def test_the_account_grows_with_rounds_and_pays_for_what_it_covers():
    assert account(0).chosen(EVERY, (), 10, costs()) == ("ngram",)
    assert account(100).chosen(EVERY, (), 10, costs()) == ("ngram", "cheap")
    assert account(1_100).chosen(EVERY, (), 10, costs()) == ("ngram", "cheap", "dear")
    assert account(1_100).chosen(EVERY, ("cheap",), 10, costs()) == ("ngram", "dear")
    assert account(1_100).chosen(EVERY, (), 10, costs(), most_seconds=1.0) == ("ngram", "cheap")
    spent = account(1_100)
    spent.spend(10.5, 10.0, "dear", sampled=False)
    assert spent.chosen(EVERY, (), 10, costs()) == ("ngram",)


def test_one_that_is_known_well_waits_for_one_that_is_not():
    known = [candidate("dear"), candidate("cheap", counts=400.0)]
    assert account(500).chosen(known, (), 10, costs()) == ()
    assert account(1_050).chosen(known, (), 10, costs()) == ("dear",)


def test_no_time_is_spent_on_one_that_is_surely_no_better_than_plain_decoding():
    hopeless = Candidate("cheap", (Beta(2.0, 98.0),) * 4)
    assert account(500).chosen([hopeless], (), 10, costs()) == ()
    assert account(500).chosen([Candidate("cheap", (Beta(0.02, 0.98),) * 4)], (), 10, costs()) == ("cheap",)
    assert account(500).chosen([Candidate("ngram", (Beta(2.0, 98.0),) * 4)], (), 10, costs()) == (
        "ngram",
    )  # it is free


def test_no_time_is_spent_where_less_is_to_be_won():
    """Some 4 s of the next thousand tokens, with a chance of one in six."""
    rival = [Candidate("cheap", (Beta(7.0, 93.0),) * 4)]
    assert account(500).chosen(rival, (), 3, costs()) == ("cheap",)
    assert account(500).chosen(rival, (), 30, costs()) == ()
    assert account(500).chosen(rival, (), 3, costs(), rows=8) == ()  # all of them would wait


def test_a_rival_is_priced_by_what_it_drafts():
    """Hopeless if it took the time that it is asked for, hopeful where it stops before it errs."""
    rival, drafts = candidate("short", counts=100.0), (DraftCost("short", 0.0, (CostPoint(1, 64, 0.8),), 0.1),)
    for drafted, chosen in ((4, ()), (0, ("short",))):
        known = TrackedCosts(CostModel(CostGrid(1, (CostPoint(1, 64, 1.0),), drafts)))
        for _ in range(100):
            known.shortfalls.observe(RoundRecord("short", drafted, 0, 1, 0.0, 1.0, planned_gamma=4))
        assert account(500).chosen([rival], (), 10, known) == chosen


def test_one_that_took_longer_than_expected_waits_for_as_much_the_next_time():
    rivals = account(500)
    rivals.spend(3.0, 1.0, "cheap", sampled=True)  # sampled rows' laws may be dear to cut off
    assert rivals.chosen(EVERY, (), 10, costs(), sampled=False) == ("ngram", "cheap")
    assert rivals.chosen(EVERY, (), 10, costs(), sampled=True) == ("ngram",)
    for _ in range(10):
        rivals.spend(0.0, 1.0, "cheap", sampled=True)
    assert rivals.chosen(EVERY, (), 10, costs(), sampled=True) == ("ngram", "cheap")


def test_no_share_no_hindsight():
    assert account(1_000, share=0.0).chosen(EVERY, (), 10, costs()) == ()


def test_a_row_s_hindsight_is_what_teacher_forcing_says():
    """The same from weights, for hazards that are 0 or 1 at a place whatever the position."""
    world = SCENARIOS["stationary"].world("gpu", 3, 30)
    row = Row.of(world, 0)
    row.done = 40
    matches = np.random.default_rng(0).integers(0, 2, 60)
    runs = [int(np.cumprod(matches[place : place + 8]).sum()) for place in range(len(matches) - 8)]
    row.stands[DRAFTS.index("small")] = runs
    assert row.hindsight("small") == Retraced.along(matches[:40], 8).outcome("small")


@pytest.mark.parametrize("machine", ["gpu", "cpu"])
def test_looking_back_takes_a_share_of_the_time_at_most(machine):
    world, settings = SCENARIOS["stationary"].world(machine, 3, 30), PolicySettings()
    controller, taken = AdaptiveController(settings, world.profiled, 0), []
    looked_back = controller.looked_back
    controller.looked_back = lambda name, context, seconds, outcome: (
        taken.append(seconds),
        looked_back(name, context, seconds, outcome),
    )
    run = Drive(world, AdaptivePolicy(settings, PROMPT_CLASSES, 0), controller).run()
    assert taken
    assert sum(taken) <= 0.011 * run.seconds
