"""What the scheduler tells its meter, over a dispatcher that plays a script and a clock that a test moves."""

from contextlib import aclosing
from dataclasses import replace

import pytest

from specsched.classify.fake import FixedClassifier
from specsched.dispatch.fake import FAKE_WORKER, FakeDispatcher
from specsched.errors import DuplicateRequest, InvalidRequest, Overloaded, Unavailable
from specsched.policy.fixed import FixedPolicy
from specsched.records import (
    Chunk,
    Completion,
    CostGrid,
    CostPoint,
    FinishReason,
    RoundRecord,
    SpeculationHint,
    Stopping,
    TextPrompt,
    WorkerLoad,
)
from specsched.scheduler.admission.admission import Admission
from specsched.scheduler.admission.limits import Limits
from specsched.scheduler.reading import Reader
from specsched.scheduler.scheduler import Parts, Scheduler
from specsched.scheduler.speed import Ratio, Speed
from tests.helpers.service import ask, snapshot_of
from tests.helpers.text import byte_tokenizer

PROFILED = replace(FAKE_WORKER, costs=CostGrid(1, (CostPoint(1, 64, 0.25), CostPoint(8, 64, 0.25)), ()))


class NotingMeter:
    """Notes what it is told, in order."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *figures: self.told.append((name, *figures))

    def of(self, *names):
        return [entry for entry in self.told if entry[0] in names]


class Clock:
    """Every look at it takes a second."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def metered(dispatcher, meter, *, clock=None, max_requests=8, max_tokens=100_000):
    tokenizer, clock = byte_tokenizer(), clock or Clock()
    return Scheduler(
        Parts(
            tokenizer=tokenizer,
            reader=Reader(tokenizer, FixedClassifier((0.25, 0.75), ("chat", "code")), clock),
            snapshot=snapshot_of(FixedPolicy("draft", 2)),
            admission=Admission(Limits(max_requests, max_tokens)),
            dispatcher=dispatcher,
            meter=meter,
            clock=clock,
        )
    )


def rounds(*sizes, propose=0.0, verify=0.5):
    """A worker whose rounds commit so many tokens each."""

    def script(_job):
        for number, size in enumerate(sizes, start=1):
            record = RoundRecord("draft", 2, size - 1, 1, propose, verify)
            yield Chunk((9,) * size, (), record, FinishReason.LENGTH if number == len(sizes) else None)

    return script


async def completed(scheduler, request):
    async with aclosing(scheduler.generate(request)) as answers:
        *_, completion = [answer async for answer in answers]
    assert isinstance(completion, Completion)
    return completion


async def test_a_request_is_told_from_classification_to_pace():
    meter = NotingMeter()
    completion = await completed(metered(FakeDispatcher(rounds(3, 1, 2)), meter), ask())
    assert [name for name, *_ in meter.told] == [
        *("classified", "decided", "dispatched", "first_token"),
        *("round", "goodput") * 3,
        "token_pace",
    ]
    timings = completion.timings
    assert meter.of("dispatched") == [("dispatched", timings.queue_seconds)]
    assert meter.of("first_token") == [("first_token", timings.time_to_first_token_seconds)]
    assert meter.of("token_pace") == [("token_pace", timings.decode_seconds / 3)]
    assert meter.of("classified") == [("classified", 1.0)]
    assert meter.of("decided") == [("decided", completion.decision, 1.0)]


async def test_every_round_is_told_with_its_class():
    meter = NotingMeter()
    await completed(metered(FakeDispatcher(rounds(3, 1)), meter), ask())
    assert [(prompt_class, record.num_accepted) for _, _, prompt_class, record in meter.of("round")] == [
        ("code", 2),
        ("code", 0),
    ]


async def test_a_class_that_the_caller_knows_takes_no_classification():
    meter = NotingMeter()
    await completed(metered(FakeDispatcher(rounds(3)), meter), ask(prompt_class="chat"))
    assert meter.of("classified") == []
    assert meter.of("round")[0][2] == "chat"


async def test_deciding_alone_is_a_decision_too():
    meter = NotingMeter()
    await metered(FakeDispatcher(rounds(3)), meter).decide(ask())
    assert [name for name, *_ in meter.told] == ["classified", "decided"]


async def test_one_round_has_no_pace():
    meter = NotingMeter()
    await completed(metered(FakeDispatcher(rounds(3)), meter), ask())
    assert meter.of("token_pace") == []


async def test_a_request_without_tokens_has_no_first_one():
    meter = NotingMeter()

    def script(_job):
        yield Chunk((), finish=FinishReason.ABORTED)

    await completed(metered(FakeDispatcher(script), meter), ask())
    assert meter.of("first_token", "token_pace", "round") == []


async def test_speed_is_known_against_the_profiled_costs_of_plain_decoding():
    meter = NotingMeter()
    dispatcher = FakeDispatcher(rounds(3, 3, propose=0.1, verify=0.4), (PROFILED,))
    await completed(metered(dispatcher, meter), ask())
    assert [value for *_, value in meter.of("goodput")] == pytest.approx([6.0, 6.0])
    assert [value for *_, value in meter.of("speedup")] == pytest.approx([1.5, 1.5])
    assert [value for *_, value in meter.of("plain_decoding")] == pytest.approx([4.0, 4.0])


async def test_without_a_profile_nothing_is_said_of_plain_decoding():
    meter = NotingMeter()
    await completed(metered(FakeDispatcher(rounds(3, 3)), meter), ask())
    assert len(meter.of("goodput")) == 2
    assert meter.of("speedup", "plain_decoding") == []


def test_old_rounds_fade():
    ratio = Ratio()
    for _ in range(1000):
        ratio.add(1.0, 1.0)
    for _ in range(69):
        last = ratio.add(3.0, 1.0)
    assert last == pytest.approx(2.0, abs=0.01)


def test_rounds_that_took_no_measured_time_say_nothing_of_speed():
    meter = NotingMeter()
    Speed(meter).observe("chat", RoundRecord("draft", 2, 2, 1, 0.0, 0.0), 3, 0.1)
    assert meter.told == []


async def refused(scheduler, request, error):
    with pytest.raises(error):
        await completed(scheduler, request)


async def test_refusals_are_told_by_their_reason():
    meter = NotingMeter()
    scheduler = metered(FakeDispatcher(rounds(3, 3)), meter, max_requests=1)
    async with aclosing(scheduler.generate(ask("a"))) as running:
        await anext(running)
        await refused(scheduler, ask("a"), DuplicateRequest)
        await refused(scheduler, ask("b"), Overloaded)
    await refused(scheduler, ask(speculation=SpeculationHint(draft_model="nobody")), InvalidRequest)
    await scheduler.drain(0.1)
    await refused(scheduler, ask(), Unavailable)
    assert [reason for _, reason in meter.of("rejected")] == [
        "DUPLICATE_REQUEST",
        "OVERLOADED",
        "INVALID_REQUEST",
        "UNAVAILABLE",
    ]


async def test_what_fails_after_dispatch_was_not_turned_away():
    meter = NotingMeter()

    def script(_job):
        yield Unavailable("no worker is ready", 1.0)

    await refused(metered(FakeDispatcher(script), meter), ask(), Unavailable)
    assert meter.of("rejected") == []


async def test_a_stop_string_ends_what_is_counted():
    meter, tokenizer = NotingMeter(), byte_tokenizer()
    ids = tokenizer.encode("the cat sat on the mat")

    def script(_job):
        yield Chunk(ids, (), RoundRecord("draft", len(ids) - 1, len(ids) - 1, 1, 0.0, 1.0), None)

    request = replace(ask(stopping=Stopping(stop=("the",))), prompt=TextPrompt("x"))
    completion = await completed(metered(FakeDispatcher(script), meter), request)
    ((_, _, _, record),) = meter.of("round")
    assert record.num_accepted == completion.speculation.num_accepted_draft_tokens == 1
    assert meter.of("goodput") == [("goodput", "code", float(completion.usage.completion_tokens))]


def test_the_queue_is_what_waits_at_all_workers():
    class Busy(FakeDispatcher):
        def loads(self):
            return [WorkerLoad("a", 8, 3, 0, 0), WorkerLoad("b", 8, 2, 0, 0)]

    meter = NotingMeter()
    metered(Busy(rounds(1)), meter).measure()
    assert [name for name, *_ in meter.told] == ["queued", "loads"]
    assert meter.of("queued") == [("queued", 5)]
