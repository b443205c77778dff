"""What drafts would have brought reaches the policy that was asked."""

from contextlib import aclosing

from specsched.classify.base import PROMPT_CLASSES
from specsched.dispatch.fake import FakeDispatcher
from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.fixed import FixedPolicy
from specsched.policy.settings import PolicySettings
from specsched.records import Chunk, Counterfactual, FinishReason, RoundRecord, Sampling
from specsched.scheduler.scheduler import Scheduler
from tests.helpers.service import ask, parts_over


def script(_job):
    """Played with "draft"; "ngram" would have had half of its first tokens accepted."""
    record = RoundRecord("draft", 2, 1, 1, 0.1, 0.2, planned_gamma=2)
    yield Chunk((9, 9), round=record)
    outcome = Counterfactual("ngram", 40.0, (20.0, *(0.0,) * 7), (20.0, 20.0, *(0.0,) * 6))
    yield Chunk((9, 9), round=record, finish=FinishReason.LENGTH, hindsight=(outcome,))


async def served(policy):
    request = ask("r", sampling=Sampling(temperature=0.0))
    async with aclosing(Scheduler(parts_over(FakeDispatcher(script), policy=policy)).generate(request)) as answers:
        return [answer async for answer in answers]


async def test_the_policy_learns_of_a_draft_that_was_not_played():
    policy = AdaptivePolicy(PolicySettings(), PROMPT_CLASSES, seed=0)
    await served(policy)
    cells = [cell for cell in policy.export() if cell.draft_model == "ngram" and cell.position == 1]
    assert sum(cell.accepted for cell in cells) > 0.2
    assert all(not cell.sampled and cell.coupled for cell in cells)


async def test_a_policy_that_does_not_learn_is_left_alone():
    assert len(await served(FixedPolicy("draft", 2))) == 3
