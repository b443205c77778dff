"""What the logbook hands to its sink, through the scheduler's own seams."""

from contextlib import aclosing
from dataclasses import replace

from specsched.dispatch.fake import FAKE_WORKER, FakeDispatcher
from specsched.errors import WorkerLost
from specsched.policy.fixed import FixedPolicy
from specsched.records import (
    AcceptanceRecord,
    CapturedCompletion,
    ChatMessage,
    ChatPrompt,
    Chunk,
    CostGrid,
    CostPoint,
    FinishReason,
    ModelInfo,
    RoundRecord,
    Sampling,
    SpeculationHint,
)
from specsched.scheduler.scheduler import Scheduler
from specsched.telemetry.sinks.fake import FakeSink
from tests.helpers.service import ask, parts_over

WORKER = replace(
    FAKE_WORKER,
    worker_id="w0",
    drafts=(ModelInfo("draft", "model", version="aa"), ModelInfo("off", "model", version="bb", state="disabled")),
    costs=CostGrid(3, (CostPoint(1, 64, 0.25), CostPoint(8, 64, 0.25)), ()),
)


def chunk(size, *, finish=None, worker="w0"):
    record = RoundRecord("draft", 2, size - 1, 1, 0.1, 0.2)
    return Chunk((9,) * size, (), record, finish, worker_id=worker)


def booked(script):
    sink = FakeSink[AcceptanceRecord]()
    dispatcher = FakeDispatcher(script, (WORKER,))
    return Scheduler(replace(parts_over(dispatcher, policy=FixedPolicy("draft", 2)), sink=sink)), sink


async def run(scheduler, request):
    async with aclosing(scheduler.generate(request)) as answers:
        return [answer async for answer in answers]


async def test_every_round_is_logged_with_the_decision_it_ran_under():
    scheduler, sink = booked(lambda _job: [chunk(3), chunk(1), chunk(2, finish=FinishReason.LENGTH)])
    hint = SpeculationHint(max_num_speculative_tokens=5)
    request = ask("r", tenant="acme", sampling=Sampling(temperature=0.7, seed=3), speculation=hint)
    *_, completion = await run(scheduler, request)
    first, second, third = sink.items
    assert first.decision is second.decision is third.decision
    decision = first.decision
    assert (decision.request_id, decision.tenant) == ("r", "acme")
    assert (decision.sampled, decision.coupled, decision.hint) == (True, True, hint)
    assert (decision.drafts, decision.draft_versions) == (("draft",), ("aa",))
    assert (decision.worker_id, decision.cost_version) == ("w0", 3)
    assert (decision.prompt_tokens, decision.expected_tokens) == (3, 28)  # of 30
    assert decision.plan == completion.decision.plan
    assert decision.config_sha == "test"
    assert [record.round_index for record in sink.items] == [0, 1, 2]
    assert [record.context_tokens for record in sink.items] == [3, 6, 7]
    assert [record.committed_tokens for record in sink.items] == [3, 1, 2]
    assert {record.plain_seconds for record in sink.items} == {0.25}
    assert third.round.num_accepted == 1


async def test_decisions_expect_what_completions_have_come_to():
    """Those that are cut tell only that they would have gone on."""
    expected = {}
    for finish in (FinishReason.STOP, FinishReason.LENGTH):
        scheduler, sink = booked(lambda _job, finish=finish: [chunk(3), chunk(3, finish=finish)])
        for number in range(100):
            await run(scheduler, ask(str(number)))
        expected[finish] = sink.items[-1].decision.expected_tokens
    assert expected == {FinishReason.STOP: 9, FinishReason.LENGTH: 29}


async def test_numbers_tell_the_order_in_which_the_policy_decided_and_learnt():
    scheduler, sink = booked(lambda _job: [chunk(3), chunk(1, finish=FinishReason.LENGTH)])
    await run(scheduler, ask("a"))
    await scheduler.decide(ask("only decided"))
    await run(scheduler, ask("b"))
    assert [record.number for record in sink.items] == [0, 1, 2, 3]
    assert [record.decision.number for record in sink.items] == [0, 0, 2, 2]
    assert [record.decision.rounds_before for record in sink.items] == [0, 0, 2, 2]
    assert len({record.run_id for record in sink.items}) == 1


async def test_a_resumed_request_says_which_worker_ran_each_round():
    def script(job):
        if job.generated_ids:
            return [chunk(1, finish=FinishReason.LENGTH, worker="w1")]
        return [chunk(3), WorkerLost("gone")]

    scheduler, sink = booked(script)
    await run(scheduler, ask())
    assert [(record.worker_id, record.round_index) for record in sink.items] == [("w0", 0), ("w1", 1)]


async def test_chunks_without_a_round_are_not_logged():
    scheduler, sink = booked(lambda _job: [Chunk((), finish=FinishReason.ABORTED)])
    await run(scheduler, ask())
    assert sink.items == []


async def test_text_goes_to_the_capture_sink_without_the_template_around_it():
    capture = FakeSink[CapturedCompletion]()
    parts = parts_over(FakeDispatcher(lambda _job: [chunk(3, finish=FinishReason.LENGTH)], (WORKER,)))
    scheduler = Scheduler(replace(parts, capture=capture))
    prompt = ChatPrompt((ChatMessage("system", "be"), ChatMessage("user", "brief")))
    *_, completion = await run(scheduler, replace(ask("r", tenant="acme"), prompt=prompt))
    assert capture.items == [CapturedCompletion("acme", "be\nbrief", completion.text, "chat", "draft", 1.0)]
