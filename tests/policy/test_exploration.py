"""Trying things out is bounded, and a caller can keep a request out of it."""

import numpy as np

from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.base import DecisionContext
from specsched.policy.settings import PolicySettings
from specsched.records import ClassProbabilities, SpeculationHint
from tests.policy.grids import grid

PI = ClassProbabilities(("chat",), (1.0,))


def decide(policy, **hint):
    drafts = ("a", "b", "c")
    hint = SpeculationHint(**hint)
    context = DecisionContext(PI, sampled=False, coupled=True, drafts=drafts, costs=grid(drafts=drafts), hint=hint)
    return policy.decide(context)


def policy(**fields):
    return AdaptivePolicy(PolicySettings(**fields), PI.classes, seed=1)


def test_over_the_long_run_no_more_than_the_share_explores():
    bounded = policy(exploration_share=0.1, exploration_burst=20.0)
    explored = [decide(bounded).explored for _ in range(1000)]  # nothing is ever observed: all arms stay doubtful
    assert np.mean(explored[:20]) > 0.5
    assert 0.08 < np.mean(explored[300:]) < 0.12


def test_a_share_of_nothing_explores_nothing():
    careful = policy(exploration_share=0.0)
    plans = [decide(careful) for _ in range(50)]
    assert not any(plan.explored for plan in plans)
    assert {plan.propensity for plan in plans} == {1.0}


def test_a_request_can_be_kept_out_of_it():
    free = policy()
    plans = [decide(free, disable_exploration=True) for _ in range(50)]
    assert len({(plan.draft_model, plan.gamma) for plan in plans}) == 1
    assert not any(plan.explored for plan in plans)
    assert {tuple(c.draft_model for c in plan.candidates) for plan in plans} == {(plans[0].draft_model,)}
    assert any(decide(free).explored for _ in range(50))


def test_every_decision_says_with_what_probability_it_was_taken():
    """Given the draws: one of them is picked at random, so the share that agrees is exact."""
    free = policy(draws=4)
    assert {decide(free).propensity for _ in range(100)} <= {0.25, 0.5, 0.75, 1.0}
