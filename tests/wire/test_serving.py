"""A real server on a Unix socket: whatever comes in, what goes out is a message or a status that says something."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from structlog.testing import capture_logs

from specsched.errors import AddressInUse, CallFailed, ConfigError, InvalidRequest, NotOffered, Overloaded
from specsched.v1 import scheduler_pb2, scheduler_pb2_grpc
from specsched.wire.request import request_from_proto
from specsched.wire.rpc import Context
from specsched.wire.serving import NOT_SERVING, SERVING, GrpcServer
from specsched.wire.status import error_of

SERVICE = scheduler_pb2.DESCRIPTOR.services_by_name["SchedulerService"]
NAME = "specsched.v1.SchedulerService"
NO_MESSAGE = b"\xff\xff\xff"

Stub = scheduler_pb2_grpc.SchedulerServiceStub


class Servicer:
    """Echoes, counts for ever, or raises what it was given. Offers no ReportOutcome, GetLoads or GetModelInfo."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.ended = asyncio.Event()

    async def Decide(self, message: scheduler_pb2.DecideRequest, context: Context) -> scheduler_pb2.DecideResponse:  # noqa: N802 - the RPC's name
        if self.error is not None:
            raise self.error
        return scheduler_pb2.DecideResponse(request_id=request_from_proto(message, ()).request_id)

    async def Generate(  # noqa: N802
        self, message: scheduler_pb2.GenerateRequest, context: Context
    ) -> AsyncIterator[scheduler_pb2.GenerateResponse]:
        try:
            for text in ("a", "b"):
                yield scheduler_pb2.GenerateResponse(chunk=scheduler_pb2.GenerateChunk(text=text))
            if self.error is not None:
                raise self.error
            await asyncio.sleep(60)
        finally:
            self.ended.set()

    async def Abort(self, message: scheduler_pb2.AbortRequest, context: Context) -> scheduler_pb2.AbortResponse:  # noqa: N802
        await context.abort(grpc.StatusCode.ABORTED, "in its own words")
        return scheduler_pb2.AbortResponse()


@asynccontextmanager
async def serving(folder: Path, servicer: object, **options: Any) -> AsyncIterator[tuple[GrpcServer, grpc.aio.Channel]]:
    server = GrpcServer(f"unix:{folder}/s", max_message_bytes=4096, **options)
    server.add(SERVICE, servicer)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(server.address) as channel:
            yield server, channel
    finally:
        await server.stop(0)


async def texts_of(call: AsyncIterable[scheduler_pb2.GenerateResponse], into: list[str]) -> None:
    async for answer in call:
        into.append(answer.chunk.text)  # noqa: PERF401 - an error would take a comprehension's items with it


async def failed(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (texts_of(call, []) if isinstance(call, grpc.aio.UnaryStreamCall) else call)
    return caught.value


def raw(channel: grpc.aio.Channel, method: str, *, stream: bool = False) -> Callable[[bytes], Any]:
    """A method that takes bytes as they are."""
    return (channel.unary_stream if stream else channel.unary_unary)(f"/{NAME}/{method}")


async def test_calls_are_answered(tmp_path: Path) -> None:
    async with serving(tmp_path, Servicer()) as (_, channel):
        answer = await Stub(channel).Decide(scheduler_pb2.DecideRequest(request_id="r1", text="hi"))
        assert answer.request_id == "r1"


@pytest.mark.parametrize(("method", "stream"), [("Decide", False), ("Generate", True), ("GetLoads", False)])
async def test_bytes_that_are_no_message_are_the_callers_fault(tmp_path: Path, method: str, stream: bool) -> None:
    async with serving(tmp_path, Servicer()) as (_, channel):
        error = await failed(raw(channel, method, stream=stream)(NO_MESSAGE))
    back = error_of(error)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (type(back), str(back), back.violations) == (InvalidRequest, "the request is no valid message", ())


async def test_text_that_is_no_utf8_is_the_callers_fault(tmp_path: Path) -> None:
    async with serving(tmp_path, Servicer()) as (_, channel):
        error = await failed(raw(channel, "Decide")(b"\x12\x01\xff"))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_violations_reach_the_caller(tmp_path: Path) -> None:
    async with serving(tmp_path, Servicer()) as (_, channel):
        error = await failed(Stub(channel).Decide(scheduler_pb2.DecideRequest()))
    assert [violation.field for violation in error_of(error).violations] == ["prompt"]


async def test_a_refusal_of_many_fields_still_arrives(tmp_path: Path) -> None:
    message = scheduler_pb2.DecideRequest(text="hi")
    for i in range(1, 150):
        message.sampling.logit_bias[-i] = 1000.0
    async with serving(tmp_path, Servicer()) as (_, channel):
        back = error_of(await failed(Stub(channel).Decide(message)))
    assert type(back) is InvalidRequest
    assert back.violations[0].field.startswith("sampling.logit_bias[")
    assert back.violations[-1].description.endswith(" more")


@pytest.mark.parametrize("letter", ["x", "\n", "🦆"])
async def test_a_refusal_of_any_length_still_arrives(tmp_path: Path, letter: str) -> None:
    error = InvalidRequest((), letter * 20_000)
    async with serving(tmp_path, Servicer(error)) as (_, channel):
        back = error_of(await failed(Stub(channel).Decide(scheduler_pb2.DecideRequest(text="hi"))))
    assert type(back) is InvalidRequest
    assert str(back).startswith(letter * 200)


@pytest.mark.parametrize("method", ["ReportOutcome", "GetLoads", "GetModelInfo"])
async def test_an_rpc_without_a_method_says_that_it_is_not_offered_yet(tmp_path: Path, method: str) -> None:
    async with serving(tmp_path, Servicer()) as (_, channel):
        error = await failed(raw(channel, method)(b""))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert error.details() == f"{NAME}.{method} is part of the contract, but this version does not offer it yet"
    assert type(error_of(error)) is NotOffered


async def test_a_stream_without_a_method_says_so_too(tmp_path: Path) -> None:
    async with serving(tmp_path, object()) as (_, channel):
        error = await failed(Stub(channel).Generate(scheduler_pb2.GenerateRequest(text="hi")))
    assert (error.code(), type(error_of(error))) == (grpc.StatusCode.UNIMPLEMENTED, NotOffered)


async def test_what_a_method_raises_becomes_a_status(tmp_path: Path) -> None:
    async with serving(tmp_path, Servicer(Overloaded("the queue is full", 0.5))) as (_, channel):
        error = error_of(await failed(Stub(channel).Decide(scheduler_pb2.DecideRequest(text="hi"))))
    assert (type(error), str(error), error.retry_after_seconds) == (Overloaded, "the queue is full", 0.5)


async def test_what_a_stream_raises_comes_after_what_it_yielded(tmp_path: Path) -> None:
    texts: list[str] = []
    async with serving(tmp_path, Servicer(Overloaded("no room", 0.5))) as (_, channel):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await texts_of(Stub(channel).Generate(scheduler_pb2.GenerateRequest(text="hi")), texts)
    assert texts == ["a", "b"]
    assert type(error_of(caught.value)) is Overloaded


@pytest.mark.parametrize("method", ["Decide", "Generate"])
async def test_an_unforeseen_error_keeps_its_text_to_itself(tmp_path: Path, method: str) -> None:
    with capture_logs() as lines:
        async with serving(tmp_path, Servicer(ValueError("secret"))) as (_, channel):
            error = await failed(
                Stub(channel).Decide(scheduler_pb2.DecideRequest(text="hi"))
                if method == "Decide"
                else Stub(channel).Generate(scheduler_pb2.GenerateRequest(text="hi"))
            )
    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == f"internal error {lines[0]['error_id']}"
    assert "secret" not in str(error.trailing_metadata())
    assert type(error_of(error)) is CallFailed


async def test_a_method_may_abort_in_its_own_words(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with serving(tmp_path, Servicer()) as (_, channel):
            error = await failed(Stub(channel).Abort(scheduler_pb2.AbortRequest()))
    assert (error.code(), error.details(), lines) == (grpc.StatusCode.ABORTED, "in its own words", [])


async def test_a_caller_that_goes_away_ends_its_stream_without_a_word(tmp_path: Path) -> None:
    servicer = Servicer()
    with capture_logs() as lines:
        async with serving(tmp_path, servicer) as (_, channel):
            call = Stub(channel).Generate(scheduler_pb2.GenerateRequest(text="hi"))
            async for _ in call:
                break
            call.cancel()
            await asyncio.wait_for(servicer.ended.wait(), 5)
    assert lines == []


async def test_a_message_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    async with serving(tmp_path, Servicer()) as (_, channel):
        error = await failed(Stub(channel).Decide(scheduler_pb2.DecideRequest(text="x" * 5000)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in str(error.details())


async def test_health_is_not_serving_until_said_otherwise(tmp_path: Path) -> None:
    async with serving(tmp_path, Servicer()) as (server, channel):
        health: Any = health_pb2_grpc.HealthStub(channel)

        async def states() -> list[int]:
            names = ("", NAME)
            return [(await health.Check(health_pb2.HealthCheckRequest(service=name))).status for name in names]

        assert await states() == [NOT_SERVING, NOT_SERVING]
        await server.set_serving(serving=True)
        assert await states() == [SERVING, SERVING]
        await server.set_serving(serving=False)
        assert await states() == [NOT_SERVING, NOT_SERVING]
        unknown = await failed(health.Check(health_pb2.HealthCheckRequest(service="other")))
        assert unknown.code() is grpc.StatusCode.NOT_FOUND


async def test_who_watches_health_is_told_of_changes(tmp_path: Path) -> None:
    async with serving(tmp_path, Servicer()) as (server, channel):
        health: Any = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest())
        seen = [(await watch.read()).status]
        await server.set_serving(serving=True)
        seen.append((await watch.read()).status)
        watch.cancel()
    assert seen == [NOT_SERVING, SERVING]


async def test_a_watch_of_health_ends_with_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path, Servicer()) as (server, channel):
        health: Any = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == NOT_SERVING
        await server.stop(5)
        assert await watch.read() is grpc.aio.EOF
        assert await watch.code() is grpc.StatusCode.OK


async def listed(channel: grpc.aio.Channel) -> list[str]:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    call = stub.ServerReflectionInfo(iter([request]))
    return [service.name async for answer in call for service in answer.list_services_response.service]


async def test_a_local_address_lists_its_services(tmp_path: Path) -> None:
    async with serving(tmp_path, Servicer()) as (_, channel):
        assert {NAME, "grpc.health.v1.Health"} <= set(await listed(channel))


async def test_reflection_can_be_switched_off(tmp_path: Path) -> None:
    async with serving(tmp_path, Servicer(), reflect=False) as (_, channel):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await listed(channel)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_port_0_becomes_the_port_that_was_free() -> None:
    server = GrpcServer("127.0.0.1:0", max_message_bytes=4096)
    server.add(SERVICE, Servicer())
    await server.start()
    try:
        assert server.address != "127.0.0.1:0"
        with pytest.raises(AddressInUse, match=server.address):
            GrpcServer(server.address, max_message_bytes=4096)
        async with grpc.aio.insecure_channel(server.address) as channel:
            assert await Stub(channel).Decide(scheduler_pb2.DecideRequest(text="hi"))
    finally:
        await server.stop(0)


async def test_a_second_server_does_not_take_the_firsts_socket(tmp_path: Path) -> None:
    async with serving(tmp_path, Servicer()) as (server, channel):
        with pytest.raises(AddressInUse, match="is in use"):
            GrpcServer(server.address, max_message_bytes=4096)
        assert await Stub(channel).Decide(scheduler_pb2.DecideRequest(text="hi"))


async def test_an_address_that_cannot_be_bound_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(AddressInUse, match=r"cannot listen on unix:.*/nowhere/s$"):
        GrpcServer(f"unix:{tmp_path}/nowhere/s", max_message_bytes=4096)
    with pytest.raises(ConfigError, match="is no address"):
        GrpcServer("nonsense", max_message_bytes=4096)


async def test_running_calls_are_given_their_grace(tmp_path: Path) -> None:
    release = asyncio.Event()

    class Slow:
        async def Decide(self, message: Any, context: Context) -> scheduler_pb2.DecideResponse:  # noqa: N802
            started.set()
            await release.wait()
            return scheduler_pb2.DecideResponse(request_id="late")

    started = asyncio.Event()
    async with serving(tmp_path, Slow()) as (server, channel):
        call = asyncio.ensure_future(Stub(channel).Decide(scheduler_pb2.DecideRequest()))
        await started.wait()
        stopping = asyncio.create_task(server.stop(5))
        await asyncio.sleep(0)
        release.set()
        assert (await call).request_id == "late"
        await stopping
