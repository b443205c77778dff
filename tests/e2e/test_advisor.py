"""Callers with engines of their own, and callers without our client: real sockets, scripted models."""

import asyncio
from contextlib import suppress

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from specsched.client import Retries, SyncClient
from specsched.errors import InvalidRequest, Overloaded, UnknownRequest
from specsched.records import Completion, RoundRecord
from tests.helpers.service import ask, scripted_service, scripted_tokens

PROMPT = (20, 21, 22)
ROUND = RoundRecord("draft", 3, 1, 1, 0.01, 0.02)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory):
    async with scripted_service(tmp_path_factory.mktemp("service"), max_requests=4) as running:
        yield running


async def test_an_advised_request_is_reported_once(served):
    await served.client.decide(ask("mine"))
    assert await served.client.report_outcome("mine", [ROUND, ROUND], prompt_class="code")
    assert not await served.client.report_outcome("mine", [ROUND])
    with pytest.raises(UnknownRequest):
        await served.client.report_outcome("nobody", [ROUND])


async def test_every_wrong_field_of_a_report_is_told(served):
    rounds = [
        ROUND,
        RoundRecord("who", 3, 4, 0, -1.0, float("inf")),
        RoundRecord("none", 2, 0, 1, 0.0, 0.0),
        RoundRecord("draft", 2, 1, 1, 0.0, 0.0, planned_gamma=1, overlaps=(2.0, 0.5, 0.5)),
    ]
    with pytest.raises(InvalidRequest) as caught:
        await served.client.report_outcome("mine", rounds, prompt_class="poetry")
    assert {violation.field for violation in caught.value.violations} == {
        "prompt_class",
        "rounds[1].draft_model",
        "rounds[1].num_accepted",
        "rounds[1].batch_size",
        "rounds[1].propose_seconds",
        "rounds[1].verify_seconds",
        "rounds[2].gamma",
        "rounds[3].planned_gamma",
        "rounds[3].overlaps",
    }


async def test_threads_have_a_client_too(served):
    def use():
        with SyncClient(served.address) as client:
            client.ready(10.0)
            *chunks, complete = client.generate(ask("threaded"))
            assert isinstance(complete, Completion)
            assert sum((chunk.token_ids for chunk in chunks), ()) == complete.token_ids
            assert client.complete(ask("whole")).token_ids == scripted_tokens(PROMPT, 30)
            assert client.decide(ask("decided")).plan.draft_model == "draft"
            assert client.report_outcome("decided", [ROUND])
            with pytest.raises(UnknownRequest):
                client.abort("nobody")
            assert [draft.id for draft in client.get_model_info().drafts] == ["draft", "ngram"]
            assert client.get_loads().running_requests == 0
            with pytest.raises(InvalidRequest):
                client.complete(ask(prompt=()))

    await asyncio.to_thread(use)


async def test_a_full_service_is_tried_again_before_the_first_chunk(served):
    held = [asyncio.create_task(served.client.complete(ask(f"held-{i}", max_tokens=200))) for i in range(4)]
    while served.scheduler.running < 4:
        await asyncio.sleep(0.001)
    with pytest.raises(Overloaded):
        await served.client.complete(ask("impatient"))

    def patient():
        with SyncClient(served.address, retries=Retries(calls=20, longest_seconds=5.0)) as client:
            return client.complete(ask("patient"), timeout_seconds=30.0)

    assert (await asyncio.to_thread(patient)).token_ids == scripted_tokens(PROMPT, 30)
    await asyncio.gather(*held)


async def test_a_caller_who_knows_nothing_but_reflection_can_generate(served):
    """What grpcurl does: messages are made of what the server says of itself."""

    def call():
        with grpc.insecure_channel(served.address) as channel:
            pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
            method = pool.FindServiceByName("specsched.v1.SchedulerService").methods_by_name["Generate"]
            request = GetMessageClass(method.input_type)()
            request.token_ids.ids.extend(PROMPT)
            request.sampling.temperature = 0.0
            request.stopping.max_tokens = 30
            stream = channel.unary_stream(
                f"/{method.containing_service.full_name}/{method.name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
            return list(stream(request))[-1].complete

    complete = await asyncio.to_thread(call)
    assert tuple(complete.token_ids) == scripted_tokens(PROMPT, 30)
    assert complete.request_id


NUMBER = st.floats(width=64) | st.just(0.0)
COUNT = st.integers(-(2**31), 2**31 - 1) | st.integers(-2, 5)
ROUNDS = st.builds(
    RoundRecord, st.sampled_from(["draft", "none", "", "x"]), COUNT, COUNT, COUNT, NUMBER, NUMBER, st.booleans(), COUNT
)


async def test_any_report_is_taken_or_refused(served):
    loop = asyncio.get_running_loop()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(ROUNDS, max_size=3), st.none() | st.text(max_size=4))
    def report(rounds, label):
        async def once():
            await served.client.decide(ask("any"))
            with suppress(InvalidRequest):
                assert await served.client.report_outcome("any", rounds, prompt_class=label)

        asyncio.run_coroutine_threadsafe(once(), loop).result(20.0)

    await asyncio.to_thread(report)
