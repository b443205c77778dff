"""HedgeSpec learns of all drafts from the same requests."""

import math
from dataclasses import replace

import numpy as np
import pytest

from specsched.policy.base import Arm, Hindsight, Observation
from specsched.policy.baselines.hedgespec import GAMMA, Hedge, HedgeSpecController, HedgeSpecPolicy
from specsched.policy.counterfactual import Retraced
from specsched.records import NO_DRAFT
from tests.policy.rounds import begun, context, record

ROUNDS = 5
ACCEPTED = {"good": 4, "bad": 1}


def go_on(policy, requests, *, accepted, seen, hindsight=True, sampled=False):
    """Let requests run; `seen` says what a draft would have had accepted where it was not played."""
    played = []
    for number in range(requests):
        asked = replace(context(), sampled=sampled)
        plan, name = policy.decide(asked), str(number)
        pi, own = asked.class_probabilities, plan.draft_model
        for _ in range(ROUNDS):
            judged = record(Arm(own, plan.gamma), accepted[own])
            policy.observe(Observation(name, pi, sampled=sampled, coupled=not sampled, round=judged))
        for rival in rivals(plan) if hindsight else ():
            stand = np.ones((20, plan.max_gamma))
            outcome = Retraced.of(stand, np.full(20, seen[rival])).outcome(rival)
            policy.look_back(Hindsight(name, pi, sampled=sampled, coupled=not sampled, outcome=outcome))
        played.append(own)
    return played


def rivals(plan):
    return begun(HedgeSpecController(), plan).rivals("a", 100)


def test_chances_follow_the_losses():
    """ln 2 over 1 + ½ · 1² + p · 0² squares."""
    hedge = Hedge()
    assert hedge.chances(["good", "bad"]) == [0.5, 0.5]
    hedge.suffer("bad", 1.0, certain=True)
    hedge.suffer("good", 0.0, certain=True)
    odds = math.exp(-math.sqrt(math.log(2) / 1.5))
    assert hedge.chances(["good", "bad"]) == pytest.approx([1 / (1 + odds), odds / (1 + odds)])


def test_a_loss_that_was_seen_by_chance_counts_for_more():
    hedge = Hedge()
    hedge.chances(["good", "bad"])
    hedge.suffer("bad", 1.0, certain=False)
    rate = math.sqrt(math.log(2))
    estimate = 1 / (0.5 + rate / 2)
    odds = math.exp(-estimate * math.sqrt(math.log(2) / (1 + 0.5 * estimate**2)))
    assert hedge.chances(["good", "bad"])[1] == pytest.approx(odds / (1 + odds))


def test_a_new_draft_begins_as_good_as_the_best():
    hedge = Hedge()
    hedge.chances(["good", "bad"])
    hedge.suffer("bad", 1.0, certain=True, rounds=3)
    good, bad, new = hedge.chances(["good", "bad", "new"])
    assert good == new > bad


@pytest.mark.parametrize("seed", range(3))
def test_it_settles_on_the_better_draft(seed):
    late = go_on(HedgeSpecPolicy(8, seed), 300, accepted=ACCEPTED, seen=ACCEPTED)[100:]
    assert late.count("good") > 190


@pytest.mark.parametrize("seed", range(3))
def test_it_is_hindsight_that_it_believes(seed):
    """Drafts are alike where they are played: what is said of them where they are not makes the difference."""
    alike = {"good": 2, "bad": 2}
    late = go_on(HedgeSpecPolicy(8, seed), 300, accepted=alike, seen={"good": 2, "bad": 5})[100:]
    assert late.count("bad") > 150
    blind = go_on(HedgeSpecPolicy(8, seed), 300, accepted=alike, seen=alike)[100:]
    assert 50 < blind.count("bad") < 150


@pytest.mark.parametrize("seed", range(3))
def test_without_hindsight_it_learns_from_its_own_rounds(seed):
    late = go_on(HedgeSpecPolicy(8, seed), 400, accepted=ACCEPTED, seen=ACCEPTED, hindsight=False, sampled=True)[200:]
    assert late.count("good") > 180


def test_a_request_keeps_its_draft_and_all_others_are_asked():
    plan = HedgeSpecPolicy(8, 1).decide(context(("good", "bad", "ugly")))
    assert plan.gamma == GAMMA
    assert sorted((plan.draft_model, *rivals(plan))) == ["bad", "good", "ugly"]
    assert rivals(HedgeSpecPolicy(8, 1).decide(context(disable=True))) == ()


def test_plain_and_censored_rounds_say_nothing():
    policy = HedgeSpecPolicy(8, 1)
    pi = context().class_probabilities
    policy.decide(context())
    for said in (record(Arm(NO_DRAFT, 0), 0), replace(record(Arm("good", 5), 0), censored=True)):
        policy.observe(Observation("a", pi, sampled=False, coupled=True, round=said))
    assert policy.decide(context()).propensity == 0.5
