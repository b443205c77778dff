"""Policies that never adapt still listen to the caller."""

import pytest

from specsched.policy.base import DecisionContext
from specsched.policy.fixed import FixedPolicy, PlainPolicy
from specsched.records import NO_DRAFT, ClassProbabilities, SpeculationHint
from tests.policy.grids import grid


def context(**hint):
    pi = ClassProbabilities(("chat",), (1.0,))
    return DecisionContext(
        pi, sampled=False, coupled=True, drafts=("good", "bad"), costs=grid(), hint=SpeculationHint(**hint)
    )


def arm(plan):
    return plan.draft_model, plan.gamma


def test_plain_never_speculates():
    assert arm(PlainPolicy().decide(context(draft_model="good", num_speculative_tokens=3))) == (NO_DRAFT, 0)


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ({}, ("good", 4)),
        ({"disable": True}, (NO_DRAFT, 0)),
        ({"num_speculative_tokens": 0}, (NO_DRAFT, 0)),
        ({"num_speculative_tokens": 2}, ("good", 2)),
        ({"max_num_speculative_tokens": 3}, ("good", 3)),
        ({"max_num_speculative_tokens": 9}, ("good", 4)),
        ({"draft_model": "bad"}, ("bad", 4)),
        ({"draft_model": NO_DRAFT}, (NO_DRAFT, 0)),
    ],
)
def test_fixed_plays_its_arm_unless_the_caller_wants_another(hint, expected):
    assert arm(FixedPolicy("good", 4).decide(context(**hint))) == expected


def test_a_draft_that_is_not_active_is_not_played():
    pi = ClassProbabilities(("chat",), (1.0,))
    without = DecisionContext(pi, sampled=False, coupled=True, drafts=("bad",), costs=grid())
    assert arm(FixedPolicy("good", 4).decide(without)) == (NO_DRAFT, 0)
