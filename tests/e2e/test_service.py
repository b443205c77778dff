"""Real processes over real sockets: streams survive workers, callers may leave, and the service goes on."""

import asyncio
import os
import signal
from contextlib import aclosing

import grpc
import pytest

from specsched.errors import DeadlinePassed, DuplicateRequest, InvalidRequest, Overloaded, Unavailable, UnknownRequest
from specsched.records import Completion, FinishReason, Output, SpeculationHint, Stopping, TextPrompt
from specsched.v1 import admin_pb2, admin_pb2_grpc, scheduler_pb2, scheduler_pb2_grpc
from tests.helpers.service import ask, scripted_service, scripted_tokens

PROMPT = (20, 21, 22)


async def gather(client, request):
    """All answers of a call."""
    async with aclosing(client.generate(request)) as answers:
        return [answer async for answer in answers]


async def idle(served, seconds=5.0):
    """Wait until no worker has rows."""
    async with asyncio.timeout(seconds):
        while served.scheduler.running or any(load.running_rows for load in served.scheduler.loads()):
            await asyncio.sleep(0.01)


async def test_a_completion_streams_round_by_round_and_ends_with_its_account(tmp_path):
    async with scripted_service(tmp_path) as served:
        *chunks, complete = await gather(served.client, ask(output=Output(include_rounds=True)))
    assert isinstance(complete, Completion)
    assert complete.token_ids == scripted_tokens(PROMPT, 30)
    assert sum((chunk.token_ids for chunk in chunks), ()) == complete.token_ids
    assert len(chunks) == 10
    assert {chunk.round.gamma for chunk in chunks} == {2}
    assert complete.finish_reason is FinishReason.LENGTH
    assert (complete.usage.prompt_tokens, complete.usage.completion_tokens) == (3, 30)
    assert complete.speculation.mean_acceptance_length == 3.0
    assert (complete.decision.plan.draft_model, complete.decision.plan.gamma) == ("draft", 2)
    assert complete.timings.tokens_per_second > 0


async def test_a_worker_is_killed_and_every_token_comes_once(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.01) as served:
        answers = []
        async with aclosing(served.client.generate(ask(max_tokens=120))) as stream:
            async for answer in stream:
                answers.append(answer)
                if len(answers) in (5, 15):
                    os.kill(served.launcher.pids[0], signal.SIGKILL)
        *chunks, complete = answers
        assert served.launcher.restarts == 2
    assert sum((chunk.token_ids for chunk in chunks), ()) == complete.token_ids == scripted_tokens(PROMPT, 120)


async def test_requests_of_a_dead_worker_move_to_the_living_one(tmp_path):
    async with scripted_service(tmp_path, workers=2, round_seconds=0.005) as served:
        calls = [asyncio.create_task(served.client.complete(ask(f"r{i}", max_tokens=90))) for i in range(6)]
        await asyncio.sleep(0.15)
        os.kill(served.launcher.pids[0], signal.SIGKILL)
        completions = await asyncio.gather(*calls)
    assert {completion.token_ids for completion in completions} == {scripted_tokens(PROMPT, 90)}


async def test_a_caller_that_leaves_frees_its_row(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.005) as served:
        async with aclosing(served.client.generate(ask(max_tokens=2000))) as stream:
            await anext(stream)
            assert served.scheduler.loads()[0].running_rows == 1
        await idle(served, 2.0)
        assert (await served.client.complete(ask(max_tokens=6))).token_ids == scripted_tokens(PROMPT, 6)


async def test_a_deadline_ends_the_call_and_frees_its_row(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.005) as served:
        with pytest.raises(DeadlinePassed):
            await served.client.complete(ask(max_tokens=2000), timeout_seconds=0.2)
        await idle(served, 2.0)


async def test_an_abort_completes_the_stream(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.005) as served:
        call = asyncio.create_task(served.client.complete(ask(max_tokens=2000)))
        await asyncio.sleep(0.1)
        await served.client.abort("r")
        completion = await call
        assert completion.finish_reason is FinishReason.ABORTED
        assert completion.token_ids == scripted_tokens(PROMPT, len(completion.token_ids))
        with pytest.raises(UnknownRequest):
            await served.client.abort("r")


async def test_sigterm_lets_running_requests_end_and_takes_no_more(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.01) as served:
        call = asyncio.create_task(served.client.complete(ask(max_tokens=90)))
        await asyncio.sleep(0.1)
        served.terminate()
        await asyncio.sleep(0.05)
        with pytest.raises(Unavailable):
            await served.client.complete(ask("late"))
        assert (await call).token_ids == scripted_tokens(PROMPT, 90)
        await asyncio.wait_for(served.ended, 5.0)


async def test_what_outlasts_the_drain_is_told_so(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.02, drain_seconds=0.2) as served:
        call = asyncio.create_task(served.client.complete(ask(max_tokens=2000)))
        await asyncio.sleep(0.1)
        served.terminate()
        assert (await call).finish_reason is FinishReason.ABORTED
        await asyncio.wait_for(served.ended, 5.0)


async def test_a_reader_that_stops_reading_blocks_nobody(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.0) as served:
        async with aclosing(served.client.generate(ask("slow", max_tokens=2000))) as slow:
            await anext(slow)
            others = [served.client.complete(ask(f"r{i}", max_tokens=60)) for i in range(8)]
            assert {c.token_ids for c in await asyncio.gather(*others)} == {scripted_tokens(PROMPT, 60)}
            rest = [answer async for answer in slow]
        assert rest[-1].token_ids == scripted_tokens(PROMPT, 2000)


async def test_an_id_that_runs_already_is_refused(tmp_path):
    async with (
        scripted_service(tmp_path, round_seconds=0.01) as served,
        aclosing(served.client.generate(ask(max_tokens=300))) as stream,
    ):
        await anext(stream)
        with pytest.raises(DuplicateRequest):
            await served.client.complete(ask())


async def test_beyond_its_room_the_service_says_when_to_come_back(tmp_path):
    async with (
        scripted_service(tmp_path, round_seconds=0.01, max_requests=1) as served,
        aclosing(served.client.generate(ask(max_tokens=300))) as stream,
    ):
        await anext(stream)
        with pytest.raises(Overloaded) as caught:
            await served.client.complete(ask("other"))
    assert caught.value.retry_after_seconds > 0


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (ask(prompt=()), {"token_ids.ids"}),
        (ask(prompt=(1, 5000)), {"token_ids.ids"}),
        (ask(prompt=(9,) * 5000), {"prompt"}),
        (ask(speculation=SpeculationHint(draft_model="nobody")), {"speculation.draft_model"}),
        (
            ask(
                prompt=(1, 9999),
                stopping=Stopping(stop_token_ids=(7777,)),
                speculation=SpeculationHint(draft_model="x"),
            ),
            {"token_ids.ids", "stopping.stop_token_ids", "speculation.draft_model"},
        ),
    ],
)
async def test_bad_input_is_told_by_field_and_the_service_goes_on(tmp_path, request_, fields):
    async with scripted_service(tmp_path) as served:
        with pytest.raises(InvalidRequest) as caught:
            await served.client.complete(request_)
        assert {violation.field for violation in caught.value.violations} == fields
        assert (await served.client.complete(ask(max_tokens=3))).token_ids == scripted_tokens(PROMPT, 3)


async def test_a_megabyte_of_control_characters_is_a_prompt_too_long(tmp_path):
    request = ask()
    async with scripted_service(tmp_path) as served:
        with pytest.raises(InvalidRequest) as caught:
            await served.client.complete(type(request)("r", TextPrompt("\x01" * 900_000)))
        assert [violation.field for violation in caught.value.violations] == ["prompt"]
        assert (await served.client.complete(ask(max_tokens=3))).token_ids == scripted_tokens(PROMPT, 3)


async def test_bytes_that_are_no_message_are_refused_without_violations(tmp_path):
    async with scripted_service(tmp_path) as served, grpc.aio.insecure_channel(served.address) as channel:
        call = channel.unary_stream("/specsched.v1.SchedulerService/Generate")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(aiter(call(b"\xff\xff\xff no message")))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (await served.client.complete(ask(max_tokens=3))).token_ids == scripted_tokens(PROMPT, 3)


async def test_what_later_versions_offer_is_unimplemented_and_says_so(tmp_path):
    async with scripted_service(tmp_path) as served, grpc.aio.insecure_channel(served.address) as channel:
        admin, scheduler = admin_pb2_grpc.AdminServiceStub(channel), scheduler_pb2_grpc.SchedulerServiceStub(channel)
        for call in (
            admin.GetConfig(admin_pb2.GetConfigRequest()),
            scheduler.ReportOutcome(scheduler_pb2.ReportOutcomeRequest()),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert "not" in caught.value.details()


async def test_the_pool_and_its_load_are_described(tmp_path):
    async with scripted_service(tmp_path) as served, grpc.aio.insecure_channel(served.address) as channel:
        stub = scheduler_pb2_grpc.SchedulerServiceStub(channel)
        info = await stub.GetModelInfo(scheduler_pb2.GetModelInfoRequest())
        loads = await stub.GetLoads(scheduler_pb2.GetLoadsRequest())
    assert [draft.id for draft in info.drafts] == ["draft", "ngram"]
    assert (info.max_context_tokens, info.vocab_size) == (2048, 4096)
    assert [load.running_rows for load in loads.workers] == [0]


async def test_a_decision_is_explained_without_generating(tmp_path):
    async with scripted_service(tmp_path) as served:
        decision = await served.client.decide(ask())
    assert (decision.plan.draft_model, decision.plan.gamma, decision.config_sha) == ("draft", 2, "test")
    assert sum(decision.class_probabilities.probabilities) == pytest.approx(1.0)
