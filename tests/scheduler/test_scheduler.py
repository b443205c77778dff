"""The sentence, over a dispatcher that plays a script."""

import asyncio
from contextlib import aclosing

import pytest

from specsched.dispatch.fake import FakeDispatcher
from specsched.errors import InvalidRequest, Overloaded, Unavailable, WorkerLost
from specsched.records import (
    NO_DRAFT,
    ChatMessage,
    ChatPrompt,
    Chunk,
    Completion,
    FinishReason,
    GuardBudget,
    Output,
    Plan,
    Request,
    RoundRecord,
    Sampling,
    Stopping,
    TextPrompt,
    TokenPrompt,
)
from tests.helpers.service import ask, scheduler_over
from tests.helpers.text import EOS, byte_tokenizer

TOKENIZER = byte_tokenizer()


class Noting:
    """A policy that notes what it is asked and told."""

    def __init__(self):
        self.asked = []
        self.told = []

    def decide(self, context):
        self.asked.append(context)
        return Plan("draft", 2, 2)

    def observe(self, observation):
        self.told.append(observation)


def says(text, *, size=1, finish=FinishReason.LENGTH):
    """A worker that says a text, so many tokens a round, from where the job stands."""

    def script(job):
        ids = TOKENIZER.encode(text)[len(job.generated_ids) : job.max_tokens]
        parts = [ids[i : i + size] for i in range(0, len(ids), size)]
        for part in parts:
            record = RoundRecord("draft", 2, len(part) - 1, 1, 0.0, 0.0)
            yield Chunk(tuple(part), (), record, finish if part is parts[-1] else None)

    return script


async def complete(scheduler, request):
    async with aclosing(scheduler.generate(request)) as answers:
        everything = [answer async for answer in answers]
    *chunks, account = everything
    assert isinstance(account, Completion)
    assert "".join(chunk.text for chunk in chunks if not request.output.echo or chunk is not chunks[0]) == account.text
    return chunks, account


async def test_text_comes_piece_by_piece_and_whole_at_the_end():
    dispatcher = FakeDispatcher(says("the cat sat on the mat", size=2))
    _, account = await complete(scheduler_over(dispatcher), Request("r", TextPrompt("the")))
    assert account.text == "the cat sat on the mat"
    assert account.usage.completion_tokens == len(TOKENIZER.encode("the cat sat on the mat"))


async def test_a_stop_string_trims_the_text_and_frees_the_row():
    dispatcher = FakeDispatcher(says("the cat sat on the mat", size=3))
    request = Request("r", TextPrompt("the"), stopping=Stopping(stop=("sat",)))
    _, account = await complete(scheduler_over(dispatcher), request)
    assert account.text == "the cat "
    assert (account.finish_reason, account.matched_stop) == (FinishReason.STOP, "sat")
    assert dispatcher.closed == ["r"]


async def test_a_stop_token_is_named_and_its_text_left_out():
    def script(_job):
        yield Chunk((*TOKENIZER.encode("the cat"), EOS), finish=FinishReason.STOP, matched_token_id=EOS)

    _, account = await complete(scheduler_over(FakeDispatcher(script)), Request("r", TextPrompt("the")))
    assert account.text == "the cat"
    assert account.matched_stop == EOS
    assert account.token_ids[-1] == EOS


async def test_echo_gives_the_prompt_first():
    request = Request("r", TextPrompt("naïve "), output=Output(echo=True))
    chunks, account = await complete(scheduler_over(FakeDispatcher(says("café"))), request)
    assert (chunks[0].text, chunks[0].token_ids) == ("naïve ", ())
    assert account.text == "café"


async def test_messages_go_through_the_chat_template():
    dispatcher = FakeDispatcher(says("x"))
    await complete(scheduler_over(dispatcher), Request("r", ChatPrompt((ChatMessage("user", "the cat"),))))
    assert TOKENIZER.decode(dispatcher.jobs[0].prompt_ids) == TOKENIZER.decode(
        TOKENIZER.encode("<|user|>the cat<|bot|>", special_tokens=False)
    )


async def test_the_policy_is_asked_once_and_told_every_round():
    policy, dispatcher = Noting(), FakeDispatcher(says("the cat", size=2))
    request = Request("r", TextPrompt("the"), sampling=Sampling(temperature=0.7, seed=3), tenant="t")
    chunks, _ = await complete(scheduler_over(dispatcher, policy=policy), request)
    (context,) = policy.asked
    assert (context.sampled, context.coupled, context.tenant) == (True, True, "t")
    assert context.drafts == ("draft", "ngram")
    assert [o.round for o in policy.told] == [chunk.round for chunk in chunks]
    assert dispatcher.jobs[0].noise_seed == 3


async def test_unseeded_requests_draw_seeds_of_their_own():
    dispatcher = FakeDispatcher(says("x"))
    scheduler = scheduler_over(dispatcher)
    for name in "ab":
        await complete(scheduler, Request(name, TextPrompt("the")))
    first, second = (job.noise_seed for job in dispatcher.jobs)
    assert first != second


async def test_a_lost_worker_is_resumed_from_what_was_delivered():
    text, losses = "the cat sat on the mat", [2, 3]

    def script(job):
        whole = list(says(text)(job))
        if losses:
            yield from whole[: losses.pop()]
            yield WorkerLost("gone")
        yield from whole

    dispatcher = FakeDispatcher(script)
    _, account = await complete(scheduler_over(dispatcher), Request("r", TextPrompt("the")))
    assert account.text == text
    assert [len(job.generated_ids) for job in dispatcher.jobs] == [0, 3, 5]


async def test_too_many_lost_workers_end_the_request():
    def script(_job):
        yield Chunk((9,))
        yield WorkerLost("gone")

    with pytest.raises(Unavailable, match="4 workers were lost"):
        await complete(scheduler_over(FakeDispatcher(script)), Request("r", TextPrompt("the")))


async def test_a_stream_that_just_ends_counts_as_a_lost_worker():
    calls = []

    def script(job):
        calls.append(job)
        return says("the cat")(job) if len(calls) == 2 else iter([Chunk(tuple(TOKENIZER.encode("the cat")[:1]))])

    _, account = await complete(scheduler_over(FakeDispatcher(script)), Request("r", TextPrompt("the")))
    assert account.text == "the cat"


@pytest.mark.parametrize("prompt", [TextPrompt("\x00" * 50), TokenPrompt((1, 2, 4095))])
async def test_odd_prompts_are_answered(prompt):
    _, account = await complete(scheduler_over(FakeDispatcher(says("x"))), Request("r", prompt))
    assert account.text == "x"


async def test_every_violation_of_the_pool_s_limits_is_told_at_once():
    with pytest.raises(InvalidRequest) as caught:
        await complete(scheduler_over(FakeDispatcher(says("x"))), ask(prompt=(4096,) * 3000))
    assert [violation.field for violation in caught.value.violations] == ["prompt", "token_ids.ids"]


async def test_without_a_worker_the_answer_is_to_come_back():
    with pytest.raises(Unavailable):
        await complete(scheduler_over(FakeDispatcher(says("x"), workers=())), ask())


async def test_room_is_given_back_whatever_happens():
    def script(job):
        yield RuntimeError("a bug") if job.request_id == "bad" else Chunk((9,), finish=FinishReason.LENGTH)

    scheduler = scheduler_over(FakeDispatcher(script), max_requests=1)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            await complete(scheduler, ask("bad"))
    assert (await complete(scheduler, ask("good")))[1].token_ids == (9,)
    assert scheduler.running == 0


async def test_a_full_house_refuses_and_says_when():
    started, go_on = asyncio.Event(), asyncio.Event()

    class Slow(FakeDispatcher):
        async def execute(self, job):
            started.set()
            await go_on.wait()
            yield Chunk((9,), finish=FinishReason.LENGTH)

    scheduler = scheduler_over(Slow(says("x")), max_requests=1)
    first = asyncio.create_task(complete(scheduler, ask("a")))
    await started.wait()
    with pytest.raises(Overloaded) as caught:
        await complete(scheduler, ask("b"))
    assert caught.value.retry_after_seconds > 0
    go_on.set()
    await first


async def test_draining_refuses_new_requests():
    scheduler = scheduler_over(FakeDispatcher(says("x")))
    await scheduler.drain(0.1)
    with pytest.raises(Unavailable, match="draining"):
        await complete(scheduler, ask())


async def test_deciding_generates_nothing():
    dispatcher = FakeDispatcher(says("x"))
    decision = await scheduler_over(dispatcher).decide(ask())
    assert (decision.plan.draft_model, decision.plan.gamma) == ("draft", 2)
    assert dispatcher.jobs == []


async def test_a_decision_says_whose_tokens_it_may_lose():
    dispatcher = FakeDispatcher(says("x"))
    dispatcher.budgets["acme"] = 1.5
    scheduler = scheduler_over(dispatcher)
    assert (await scheduler.decide(ask(tenant="acme"))).guard == GuardBudget("fake", "acme", 1.5)
    assert (await scheduler.decide(ask(tenant="new"))).guard == GuardBudget("fake", "new", None)


def test_plain_decoding_is_an_arm_by_name():
    assert Plan().draft_model == NO_DRAFT


async def test_no_more_is_asked_for_than_the_context_holds():
    dispatcher = FakeDispatcher(says("x"))
    await complete(scheduler_over(dispatcher), ask(prompt=(9,) * 10, max_tokens=2_000_000))
    assert dispatcher.jobs[0].max_tokens == 2048 - 10
