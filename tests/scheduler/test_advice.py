"""Advisor mode: rounds that somebody else's engine ran are learnt from once, and like our own."""

from dataclasses import replace

import pytest

from specsched.classify.fake import NotedFeedback
from specsched.dispatch.fake import FakeDispatcher
from specsched.errors import UnknownRequest
from specsched.records import Plan, RoundRecord, Sampling, TextPrompt
from specsched.scheduler.advice import Advice, head_and_tail
from specsched.scheduler.scheduler import Scheduler
from tests.helpers.service import ask, parts_over, snapshot_of

ROUND = RoundRecord("draft", 3, 1, 1, 0.01, 0.02)


class Noting:
    """A policy that notes what it is told."""

    def __init__(self):
        self.told = []

    def decide(self, context):
        return Plan("draft", 3, 3)

    def observe(self, observation):
        self.told.append(observation)


class Advisor:
    """A scheduler that only decides, its policy, its labels and its clock."""

    def __init__(self, **limits):
        self.now, self.policy, self.labels = 0.0, Noting(), NotedFeedback()
        parts = parts_over(FakeDispatcher(lambda _job: ()))
        parts = replace(parts, snapshot=snapshot_of(self.policy), feedback=self.labels)
        self.scheduler = Scheduler(replace(parts, advice=Advice(clock=lambda: self.now, **limits)))

    async def decide(self, name, **fields):
        return await self.scheduler.decide(ask(name, **fields))

    def report(self, name, rounds=(ROUND,), label=None, sees=lambda _tenant: True):
        return self.scheduler.advisor.report(name, rounds, label, sees)


async def test_rounds_are_learnt_from_as_our_own_are():
    advisor = Advisor()
    decision = await advisor.decide("a", tenant="t", sampling=Sampling(temperature=0.7, seed=1))
    assert advisor.report("a", (ROUND, ROUND))
    first, second = advisor.policy.told
    assert first == second
    assert (first.request_id, first.tenant, first.sampled, first.coupled) == ("a", "t", True, True)
    assert (first.class_probabilities, first.round) == (decision.class_probabilities, ROUND)


async def test_a_report_counts_once():
    advisor = Advisor()
    await advisor.decide("a")
    assert [advisor.report("a"), advisor.report("a"), advisor.report("a", ())] == [True, False, False]
    assert len(advisor.policy.told) == 1


async def test_what_was_never_decided_or_too_long_ago_is_unknown():
    advisor = Advisor(seconds=10.0)
    with pytest.raises(UnknownRequest):
        advisor.report("nobody")
    await advisor.decide("a")
    advisor.now = 10.0
    with pytest.raises(UnknownRequest, match="expired"):
        advisor.report("a")
    assert advisor.policy.told == []


async def test_another_tenant_s_decision_is_unknown():
    advisor = Advisor()
    await advisor.decide("a", tenant="theirs")
    with pytest.raises(UnknownRequest):
        advisor.report("a", sees=lambda tenant: tenant == "ours")
    assert advisor.report("a", sees=lambda tenant: tenant == "theirs")


async def test_memory_is_bounded_and_the_oldest_go_first():
    advisor = Advisor(kept=3)
    for name in "abcd":
        await advisor.decide(name)
    with pytest.raises(UnknownRequest):
        advisor.report("a")
    assert all(advisor.report(name) for name in "bcd")


async def test_a_label_goes_to_the_classifier_with_the_prompt():
    advisor = Advisor()
    await advisor.scheduler.decide(replace(ask("a", tenant="t"), prompt=TextPrompt("the cat")))
    advisor.report("a", label="code")
    advisor.report("a", label="math")
    assert advisor.labels.taken == [("the cat", "code", "t")]


def test_of_a_long_prompt_head_and_tail_are_kept():
    kept = head_and_tail("head" + "x" * 100_000 + "tail")
    assert len(kept) < 5_000
    assert kept.startswith("head")
    assert kept.endswith("tail")
    assert head_and_tail("short") == "short"
