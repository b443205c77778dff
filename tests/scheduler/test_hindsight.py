"""What drafts would have brought reaches the policy that was asked, and the log, from which it is learnt again."""

from contextlib import aclosing
from dataclasses import replace

import pytest

from specsched.bench.replay.logged import runs_of
from specsched.bench.replay.offpolicy import redo
from specsched.classify.base import PROMPT_CLASSES
from specsched.dispatch.fake import FAKE_WORKER, FakeDispatcher
from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.fixed import FixedPolicy
from specsched.policy.settings import PolicySettings
from specsched.records import (
    AcceptanceRecord,
    Chunk,
    CostGrid,
    CostPoint,
    Counterfactual,
    DraftCost,
    FinishReason,
    RoundRecord,
    Sampling,
)
from specsched.scheduler.scheduler import Scheduler
from specsched.telemetry.sinks.fake import FakeSink
from specsched.telemetry.sinks.jsonl import JsonlWriter
from specsched.telemetry.sinks.reading import read_acceptance
from specsched.telemetry.sinks.rows import row_of
from specsched.telemetry.sinks.segments import Rotation
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


COSTS = CostGrid(
    1,
    (CostPoint(1, 0, 1.0), CostPoint(64, 0, 1.5)),
    tuple(DraftCost(name, 0.0, (CostPoint(1, 0, 0.1),)) for name in ("draft", "ngram")),
)
GREEDY = Sampling(temperature=0.0)


def fresh():
    return AdaptivePolicy(PolicySettings(), PROMPT_CLASSES, seed=3)


async def logged(folder, requests=6):
    """Records of requests that overlap: while one holds its last tokens back, another is decided."""
    sink = FakeSink[AcceptanceRecord]()
    dispatcher = FakeDispatcher(script, (replace(FAKE_WORKER, costs=COSTS),))
    scheduler = Scheduler(replace(parts_over(dispatcher, policy=fresh()), sink=sink))
    streams = [scheduler.generate(ask(str(number), sampling=GREEDY)) for number in range(requests)]
    for stream in streams:
        for _ in range(2):
            await anext(stream)
    for stream in streams:
        await stream.aclose()
    writer = JsonlWriter(folder, row_of, Rotation())
    writer.write(sink.items)
    writer.close()
    return list(read_acceptance(folder))


@pytest.mark.parametrize("kept", [True, False])
async def test_what_was_learnt_in_hindsight_is_learnt_again_from_the_log(tmp_path, kept):
    records = await logged(tmp_path)
    assert [len(record.hindsight) for record in records] == [0, 1] * 6
    (run,) = runs_of(records if kept else [replace(record, hindsight=()) for record in records])
    redone = redo(run, fresh(), COSTS, draws=10)
    assert [one.same_seed for one in redone] == [True] * 6
    assert all(one.same_beliefs for one in redone) == kept
