"""StreamAcceptance over a real channel."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc
import pytest

from specsched.records import Caller, Counterfactual, Role
from specsched.server.process import TELEMETRY
from specsched.server.telemetry import TelemetryServicer
from specsched.telemetry.sinks.broadcast import Broadcast
from specsched.v1 import telemetry_pb2, telemetry_pb2_grpc
from specsched.wire.serving import GrpcServer
from tests.helpers.acceptance import acceptance, decision, rounds_of


class OneCaller:
    """A guard that takes everybody for one caller."""

    def __init__(self, caller):
        self.caller = caller

    def identify(self, _metadata):
        return self.caller

    def authorise(self, caller, service):
        pass


@asynccontextmanager
async def streaming(folder, *, guard=None, capacity=64):
    broadcast = Broadcast(lambda _count: None, capacity=capacity, max_listeners=2)
    server = GrpcServer(f"unix:{folder}/t.sock", max_message_bytes=2**20, guard=guard)
    server.add(TELEMETRY, TelemetryServicer(broadcast))
    await server.start()
    try:
        async with grpc.aio.insecure_channel(server.address) as channel:
            yield telemetry_pb2_grpc.TelemetryServiceStub(channel), broadcast
    finally:
        await server.stop(0)


async def opened(stub, broadcast, count=1, **wanted):
    call = stub.StreamAcceptance(telemetry_pb2.StreamAcceptanceRequest(**wanted))
    while len(broadcast._listeners) < count:
        await asyncio.sleep(0.005)
    return call


async def heard(call, count):
    return [(await call.read()).number for _ in range(count)]


async def test_a_record_comes_whole(tmp_path):
    async with streaming(tmp_path) as (stub, broadcast):
        call = await opened(stub, broadcast)
        first, second = rounds_of(0, 2, first=0)
        broadcast.put(first)
        broadcast.put(replace(second, hindsight=(Counterfactual("ngram", 2.0, (1.0,), (0.5,)),)))
        message = await call.read()
        assert (message.request_id, message.tenant, message.run_id, message.number) == ("r0", "acme", "run", 0)
        assert message.round.num_accepted == first.round.num_accepted
        assert (message.propensity, message.seed) == (0.125, 2**63 + 5)
        assert message.plan.candidates[0].hazards[0].a == pytest.approx(1.5)
        assert message.plain_seconds == pytest.approx(0.015)
        last = await call.read()
        assert not last.HasField("plan")
        (outcome,) = last.hindsight
        assert (outcome.draft_model, outcome.rounds, outcome.accepted, outcome.rejected) == ("ngram", 2.0, [1.0], [0.5])
        call.cancel()


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({}, [0, 1, 2]),
        ({"tenants": ["b"]}, [1]),
        ({"draft_models": ["ngram"]}, [2]),
        ({"prompt_classes": ["code"], "tenants": ["a"]}, [0, 2]),
    ],
)
async def test_filters_are_joined(tmp_path, wanted, numbers):
    records = [acceptance(0), acceptance(1), acceptance(2)]
    tenants = ("a", "b", "a")
    records = [replace(r, decision=decision(tenant=tenant)) for r, tenant in zip(records, tenants, strict=True)]
    records[2] = replace(records[2], round=replace(records[2].round, draft_model="ngram"))
    async with streaming(tmp_path) as (stub, broadcast):
        call = await opened(stub, broadcast, **wanted)
        for record in records:
            broadcast.put(record)
        assert await heard(call, len(numbers)) == numbers
        call.cancel()


async def test_a_caller_sees_its_own_tenants_alone(tmp_path):
    guard = OneCaller(Caller("t", frozenset({Role.TELEMETRY}), ("a",), 0))
    async with streaming(tmp_path, guard=guard) as (stub, broadcast):
        call = await opened(stub, broadcast)
        for number, tenant in enumerate(("b", "a")):
            broadcast.put(replace(acceptance(number), decision=decision(tenant=tenant)))
        assert await heard(call, 1) == [1]
        call.cancel()


async def test_a_slow_reader_is_told_what_it_lost(tmp_path):
    async with streaming(tmp_path, capacity=4) as (stub, broadcast):
        call = await opened(stub, broadcast)
        for number in range(10):  # without a pause: the stream has no time to send
            broadcast.put(acceptance(number))
        messages = [await call.read() for _ in range(4)]
        assert [message.number for message in messages] == [0, 1, 2, 3]
        assert messages[-1].dropped_records == 6
        call.cancel()


async def test_an_ending_server_ends_its_streams_quietly(tmp_path, capfd):
    async with streaming(tmp_path) as (stub, broadcast):
        call = await opened(stub, broadcast)
    with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
        await call.read()
    await asyncio.sleep(0.1)
    assert "Traceback" not in capfd.readouterr().err
