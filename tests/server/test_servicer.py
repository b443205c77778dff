"""Deltas that come together are sent as one: the same answer, in fewer messages."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from specsched.dispatch.fake import FakeDispatcher
from specsched.errors import WorkerLost
from specsched.records import Chunk, FinishReason, RoundRecord, TokenLogprob
from specsched.scheduler.scheduler import Scheduler
from specsched.server.servicer import SchedulerServicer
from specsched.v1 import scheduler_pb2
from tests.helpers.service import parts_over
from tests.helpers.text import byte_tokenizer

SAYS = "naïve café: the cat sat on the mat, a stop string, then the end"
TOKENS = byte_tokenizer().encode(SAYS)


class Context:
    """Of a call without deadline and metadata."""

    def time_remaining(self):
        return None

    def invocation_metadata(self):
        return ()


def script_of(sizes, more):
    """A worker that says SAYS in rounds of these sizes, some of which are followed at once."""

    def script(job):
        ids = TOKENS[len(job.generated_ids) :]
        for number, (size, follows) in enumerate(zip(sizes, more, strict=True)):
            part, ids = ids[:size], ids[size:]
            last = not ids or number == len(sizes) - 1
            record = RoundRecord("draft", size - 1, size - 1, 1, 0.0, 0.0)
            logprobs = tuple(TokenLogprob(token, -0.5, ()) for token in part)
            yield Chunk(part, logprobs, record, FinishReason.LENGTH if last else None, more=follows and not last)
            if last:
                return

    return script


def request(**output):
    message = scheduler_pb2.GenerateRequest(request_id="r", output=scheduler_pb2.OutputParams(**output))
    message.token_ids.ids.extend((20, 21))
    message.sampling.temperature = 0.0
    return message


async def answered(script, message, scheduler=None):
    scheduler = scheduler or Scheduler(parts_over(FakeDispatcher(script)))
    answers = [answer async for answer in SchedulerServicer(scheduler).Generate(message, Context())]
    *chunks, last = answers
    assert all(answer.WhichOneof("response") == "chunk" for answer in chunks)
    return [answer.chunk for answer in chunks], last.complete


def account(complete):
    """What does not depend on time."""
    kept = scheduler_pb2.GenerateComplete.FromString(complete.SerializeToString())
    kept.ClearField("timings")
    return kept


def joined(chunks):
    return (
        "".join(chunk.text for chunk in chunks),
        [token for chunk in chunks for token in chunk.token_ids],
        [logprob.token_id for chunk in chunks for logprob in chunk.logprobs],
    )


rounds = st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=30)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(rounds, st.lists(st.sampled_from(["stop", "é c", "at on", "nowhere"]), max_size=2))
def test_the_answer_is_the_same_whatever_comes_together(rounds, stops):
    sizes, more = zip(*rounds, strict=True)
    message = request(logprobs=0)
    message.stopping.stop.extend(stops)

    alone, account_alone = asyncio.run(answered(script_of(sizes, [False] * len(sizes)), message))
    together, account_together = asyncio.run(answered(script_of(sizes, more), message))

    assert joined(together) == joined(alone)
    assert account(account_together) == account(account_alone)
    assert len(together) <= len(alone)


async def test_what_comes_together_is_one_message_unless_its_rounds_are_asked_for():
    script = script_of([3, 3, 3, 3], [False, True, True, False])
    assert [len(chunk.token_ids) for chunk in (await answered(script, request()))[0]] == [3, 9]
    with_rounds, _ = await answered(script, request(include_rounds=True))
    assert [chunk.round.gamma for chunk in with_rounds] == [2, 2, 2, 2]


async def test_a_completion_alone_is_the_same_completion():
    script = script_of([3, 3, 3], [False] * 3)
    chunks, complete = await answered(script, request())
    none, alone = await answered(script, request(complete_only=True))
    assert chunks
    assert not none
    assert account(alone) == account(complete)


async def test_what_stands_when_a_worker_is_lost_comes_once_and_with_what_follows():
    def script(job):
        first = [Chunk(TOKENS[:2], more=True), WorkerLost("it died")]
        return script_of([2], [False])(job) if job.generated_ids else first

    chunks, complete = await answered(script, request())
    assert [tuple(chunk.token_ids) for chunk in chunks] == [TOKENS[:4]]
    assert tuple(complete.token_ids) == TOKENS[:4]
