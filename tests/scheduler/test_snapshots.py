"""Another snapshot: requests that run keep theirs, and nothing that was learnt is lost."""

from contextlib import aclosing
from dataclasses import replace

from specsched.dispatch.fake import FakeDispatcher
from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.fixed import FixedPolicy, PlainPolicy
from specsched.policy.settings import PolicySettings
from specsched.records import Chunk, Completion, FinishReason, RoundRecord
from tests.helpers.service import ask, scheduler_over, snapshot_of

CLASSES = ("chat", "code")


def rounds(count):
    """A worker that accepts one of two drafted tokens, so many times."""

    def script(_job):
        for index in range(count):
            finish = FinishReason.LENGTH if index == count - 1 else None
            yield Chunk((9, 10), (), RoundRecord("draft", 2, 1, 1, 0.1, 0.1), finish)

    return script


def adaptive(**settings):
    return AdaptivePolicy(PolicySettings(**settings), CLASSES, 0)


async def completion(scheduler, name="r"):
    async with aclosing(scheduler.generate(ask(name))) as answers:
        *_, account = [answer async for answer in answers]
        assert isinstance(account, Completion)
        return account


async def test_a_request_that_runs_keeps_what_it_began_with():
    dispatcher = FakeDispatcher(rounds(3))
    scheduler = scheduler_over(dispatcher)
    scheduler.steering.adopt(snapshot_of(FixedPolicy("draft", 2), round_settings="old", config_sha="old"))
    async with aclosing(scheduler.generate(ask("a"))) as answers:
        await anext(answers)
        scheduler.steering.adopt(snapshot_of(PlainPolicy(), round_settings="new", config_sha="new"))
        account = [answer async for answer in answers][-1]
    assert (account.decision.config_sha, account.decision.plan.policy) == ("old", "fixed")
    later = await completion(scheduler, "b")
    assert (later.decision.config_sha, later.decision.plan.policy) == ("new", "plain")
    assert [job.plan.round_settings for job in dispatcher.jobs] == ["old", "new"]


async def test_other_settings_take_up_what_was_learnt_and_go_on_learning():
    scheduler = scheduler_over(FakeDispatcher(rounds(4)), policy=adaptive())
    await completion(scheduler, "a")
    before = scheduler.steering.learnt
    scheduler.steering.adopt(snapshot_of(adaptive(max_gamma=4, prior_strength=2.0)))
    assert set(scheduler.steering.learnt) == {cell for cell in before if cell.position <= 4} != set()
    before = scheduler.steering.learnt
    await completion(scheduler, "b")
    assert sum(cell.accepted for cell in scheduler.steering.learnt) > sum(cell.accepted for cell in before)


async def test_rounds_of_running_requests_teach_the_policy_that_came_after():
    scheduler = scheduler_over(FakeDispatcher(rounds(4)), policy=adaptive())
    async with aclosing(scheduler.generate(ask("a"))) as answers:
        await anext(answers)
        after_one = scheduler.steering.learnt
        scheduler.steering.adopt(snapshot_of(adaptive()))
        _ = [answer async for answer in answers]
    assert sum(c.accepted for c in scheduler.steering.learnt) > 2 * sum(c.accepted for c in after_one)


async def test_what_was_learnt_outlives_a_policy_that_learns_nothing():
    scheduler = scheduler_over(FakeDispatcher(rounds(4)), policy=adaptive())
    await completion(scheduler, "a")
    before = scheduler.steering.learnt
    scheduler.steering.adopt(snapshot_of(PlainPolicy()))
    assert scheduler.steering.learnt == before
    scheduler.steering.adopt(snapshot_of(adaptive()))
    assert scheduler.steering.learnt == before


async def test_a_policy_that_stays_is_left_alone():
    policy = adaptive()
    scheduler = scheduler_over(FakeDispatcher(rounds(4)), policy=policy)
    await completion(scheduler, "a")
    before = scheduler.steering.learnt
    scheduler.steering.adopt(replace(scheduler.steering.snapshot, config_sha="other"))
    assert scheduler.steering.learnt == before
    assert (await completion(scheduler, "b")).decision.config_sha == "other"
