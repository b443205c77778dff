"""The policy finds what pays, says why, and does as it is asked."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.base import DecisionContext, Observation
from specsched.policy.settings import PolicySettings
from specsched.records import NO_DRAFT, ClassProbabilities, RoundRecord, SpeculationHint
from tests.policy.grids import grid

CLASSES = ("chat", "code")
TRUTH = {("chat", "good"): 0.85, ("chat", "bad"): 0.2, ("code", "good"): 0.2, ("code", "bad"): 0.85}


def context(prompt_class="chat", costs=None, running_rows=0, *, explain=False, **hint):
    return DecisionContext(
        ClassProbabilities.certain(prompt_class, CLASSES),
        sampled=False,
        coupled=True,
        drafts=("good", "bad"),
        costs=costs or grid(),
        hint=SpeculationHint(**hint),
        running_rows=running_rows,
        explain=explain,
    )


def play(policy, prompt_class, random, costs=None, request_id="r"):
    """Decide one request and report eight rounds of what its draft really accepts there."""
    plan = policy.decide(context(prompt_class, costs))
    for _ in range(8):
        hits = random.random(plan.gamma) < TRUTH.get((prompt_class, plan.draft_model), 0.0)
        record = RoundRecord(
            plan.draft_model, plan.gamma, int(np.cumprod(hits).sum()), 1, 0.1, 0.1, planned_gamma=plan.gamma
        )
        pi = ClassProbabilities.certain(prompt_class, CLASSES)
        policy.observe(Observation(request_id, pi, sampled=False, coupled=True, round=record))
    return plan


@pytest.fixture(scope="module")
def taught():
    policy, random = AdaptivePolicy(PolicySettings(), CLASSES, seed=3), np.random.default_rng(4)
    for number in range(160):
        play(policy, CLASSES[number % 2], random, request_id=str(number))
    return policy


@pytest.mark.parametrize(("prompt_class", "draft"), [("chat", "good"), ("code", "bad")])
def test_each_class_gets_the_draft_that_pays_there(taught, prompt_class, draft):
    plans = [taught.decide(context(prompt_class)) for _ in range(40)]
    assert sum(plan.draft_model == draft for plan in plans) >= 36
    assert np.median([plan.gamma for plan in plans]) >= 3


def test_the_doubt_about_a_class_is_told_as_what_drafts_share(taught):
    sure, open_to_both = (
        context("chat"),
        replace(context("chat"), class_probabilities=ClassProbabilities(CLASSES, (0.5, 0.5))),
    )
    shared = {}
    for name, asked in (("sure", sure), ("open", open_to_both)):
        one, other = taught.decide(asked).candidates
        assert one.covariance[1] == other.covariance[0]
        shared[name] = one.covariance[1]
    assert shared["open"] < -0.5 < shared["sure"]  # where one draft is good the other is bad


def test_where_drafting_costs_too_much_it_decodes_plainly():
    policy, random = AdaptivePolicy(PolicySettings(), CLASSES, seed=3), np.random.default_rng(4)
    dear = grid(step=2.0)
    plans = [play(policy, "chat", random, dear, str(number)) for number in range(150)]
    assert [plan.draft_model for plan in plans[-20:]].count(NO_DRAFT) == 20


def test_a_full_batch_shortens_the_lookahead(taught):
    steep = grid(slope=0.3)
    lone = np.mean([taught.decide(context("chat", steep)).gamma for _ in range(20)])
    crowded = np.mean([taught.decide(context("chat", steep, running_rows=15)).gamma for _ in range(20)])
    assert crowded < lone


def test_every_arm_is_explained(taught):
    plan = taught.decide(context("chat", explain=True))
    arms = {(score.draft_model, score.gamma) for score in plan.scores}
    assert arms == {(NO_DRAFT, 0)} | {(draft, gamma) for draft in ("good", "bad") for gamma in range(1, 9)}
    for score in plan.scores:
        assert score.goodput_low <= score.goodput_tokens_per_second <= score.goodput_high
        assert score.goodput_tokens_per_second == pytest.approx(score.acceptance_length / score.round_seconds)
    assert {c.draft_model for c in plan.candidates} == {"good", "bad"}
    assert 0 < plan.propensity <= 1


def test_an_explained_decision_is_the_one_that_would_be_taken():
    plain, explained = (AdaptivePolicy(PolicySettings(), CLASSES, seed=5) for _ in range(2))
    one, other = plain.decide(context("chat")), explained.decide(context("chat", explain=True))
    assert replace(other, scores=(), seed=0) == replace(one, seed=0)


def test_drafts_that_are_seen_in_hindsight_are_seldom_played_to_learn_of_them():
    def explored(**fields):
        policy = AdaptivePolicy(PolicySettings(**fields), CLASSES, seed=5)
        return sum(policy.decide(context("chat")).explored for _ in range(200))

    assert explored() < 0.8 * explored(hindsight_share=0.0)


def test_propensities_are_the_frequencies_of_arms():
    policy = AdaptivePolicy(PolicySettings(draws=400), CLASSES, seed=5)
    plans = [policy.decide(replace(context("chat"), sampled=True, coupled=False)) for _ in range(300)]
    arms = Counter((plan.draft_model, plan.gamma) for plan in plans)
    commonest, count = arms.most_common(1)[0]
    said = np.mean([plan.propensity for plan in plans if (plan.draft_model, plan.gamma) == commonest])
    assert {draft for draft, _ in arms} >= {"good", "bad"}
    assert said == pytest.approx(count / len(plans), abs=0.08)


@pytest.mark.parametrize(
    ("hint", "allowed"),
    [
        ({"disable": True}, {(NO_DRAFT, 0)}),
        ({"num_speculative_tokens": 0}, {(NO_DRAFT, 0)}),
        ({"draft_model": "bad", "num_speculative_tokens": 3}, {("bad", 3)}),
        ({"num_speculative_tokens": 12}, {("good", 12), ("bad", 12)}),
        ({"max_num_speculative_tokens": 1}, {(NO_DRAFT, 0), ("good", 1), ("bad", 1)}),
    ],
)
def test_a_hint_narrows_the_choice(taught, hint, allowed):
    plans = [taught.decide(context("chat", **hint)) for _ in range(30)]
    assert {(plan.draft_model, plan.gamma) for plan in plans} <= allowed
    assert all(plan.max_gamma <= max(gamma for _, gamma in allowed) for plan in plans)


def test_a_pinned_gamma_is_pinned_in_the_plan(taught):
    assert taught.decide(context("chat", num_speculative_tokens=3)).pinned
    assert not taught.decide(context("chat")).pinned


def test_equal_seeds_decide_alike():
    one, other = (AdaptivePolicy(PolicySettings(), CLASSES, seed=7) for _ in range(2))
    assert [one.decide(context("chat")) for _ in range(5)] == [other.decide(context("chat")) for _ in range(5)]
