"""Calls of one running service: callers may leave, and bad input is told by field; the service goes on."""

import asyncio
from contextlib import aclosing

import grpc
import pytest
import pytest_asyncio

from specsched.errors import DeadlinePassed, DuplicateRequest, InvalidRequest, UnknownRequest
from specsched.records import Completion, FinishReason, Output, SpeculationHint, Stopping, TextPrompt
from specsched.v1 import admin_pb2, admin_pb2_grpc, scheduler_pb2, scheduler_pb2_grpc
from tests.helpers.service import ask, scripted_service, scripted_tokens

PROMPT = (20, 21, 22)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory):
    """One service for all tests that leave it as they found it."""
    async with scripted_service(tmp_path_factory.mktemp("service"), round_seconds=0.004) as running:
        yield running


async def gather(client, request):
    """All answers of a call."""
    async with aclosing(client.generate(request)) as answers:
        return [answer async for answer in answers]


async def idle(served, seconds=5.0):
    """Wait until no worker has rows."""
    async with asyncio.timeout(seconds):
        while served.scheduler.running or any(load.running_rows for load in served.scheduler.loads()):
            await asyncio.sleep(0.01)


async def test_a_completion_streams_round_by_round_and_ends_with_its_account(served):
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


async def test_a_caller_that_leaves_frees_its_row(served):
    async with aclosing(served.client.generate(ask(max_tokens=2000))) as stream:
        await anext(stream)
        assert served.scheduler.loads()[0].running_rows == 1
    await idle(served, 2.0)
    assert (await served.client.complete(ask(max_tokens=6))).token_ids == scripted_tokens(PROMPT, 6)


async def test_a_deadline_ends_the_call_and_frees_its_row(served):
    with pytest.raises(DeadlinePassed):
        await served.client.complete(ask(max_tokens=2000), timeout_seconds=0.2)
    await idle(served, 2.0)


async def test_an_abort_completes_the_stream(served):
    call = asyncio.create_task(served.client.complete(ask(max_tokens=2000)))
    await asyncio.sleep(0.1)
    with pytest.raises(UnknownRequest):
        await served.client.abort("r", tenant="other")
    await served.client.abort("r")
    completion = await call
    assert completion.finish_reason is FinishReason.ABORTED
    assert completion.token_ids == scripted_tokens(PROMPT, len(completion.token_ids))
    with pytest.raises(UnknownRequest):
        await served.client.abort("r")


async def test_an_id_that_runs_already_is_refused(served):
    async with aclosing(served.client.generate(ask(max_tokens=300))) as stream:
        await anext(stream)
        with pytest.raises(DuplicateRequest):
            await served.client.complete(ask())


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
async def test_bad_input_is_told_by_field_and_the_service_goes_on(served, request_, fields):
    with pytest.raises(InvalidRequest) as caught:
        await served.client.complete(request_)
    assert {violation.field for violation in caught.value.violations} == fields
    assert (await served.client.complete(ask(max_tokens=3))).token_ids == scripted_tokens(PROMPT, 3)


async def test_a_megabyte_of_control_characters_is_a_prompt_too_long(served):
    request = ask()
    with pytest.raises(InvalidRequest) as caught:
        await served.client.complete(type(request)("r", TextPrompt("\x01" * 900_000)))
    assert [violation.field for violation in caught.value.violations] == ["prompt"]
    assert (await served.client.complete(ask(max_tokens=3))).token_ids == scripted_tokens(PROMPT, 3)


async def test_bytes_that_are_no_message_are_refused_without_violations(served):
    async with grpc.aio.insecure_channel(served.address) as channel:
        call = channel.unary_stream("/specsched.v1.SchedulerService/Generate")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(aiter(call(b"\xff\xff\xff no message")))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (await served.client.complete(ask(max_tokens=3))).token_ids == scripted_tokens(PROMPT, 3)


async def test_operators_services_are_not_on_the_public_port(served):
    async with grpc.aio.insecure_channel(served.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await admin_pb2_grpc.AdminServiceStub(channel).GetConfig(admin_pb2.GetConfigRequest())
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_the_pool_and_its_load_are_described(served):
    async with grpc.aio.insecure_channel(served.address) as channel:
        stub = scheduler_pb2_grpc.SchedulerServiceStub(channel)
        info = await stub.GetModelInfo(scheduler_pb2.GetModelInfoRequest())
        loads = await stub.GetLoads(scheduler_pb2.GetLoadsRequest())
    assert [draft.id for draft in info.drafts] == ["draft", "ngram"]
    assert (info.max_context_tokens, info.vocab_size) == (2048, 4096)
    assert [load.running_rows for load in loads.workers] == [0]


async def test_a_decision_is_explained_without_generating(served):
    decision = await served.client.decide(ask())
    assert (decision.plan.draft_model, decision.plan.gamma, decision.config_sha) == ("draft", 2, "test")
    assert sum(decision.class_probabilities.probabilities) == pytest.approx(1.0)
