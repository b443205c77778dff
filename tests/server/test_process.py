"""The scheduler's process around fakes: what its ports say from start to drained end."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from specsched.dispatch.fake import FAKE_WORKER, FakeDispatcher
from specsched.records import Chunk, FinishReason
from specsched.server.process import ADMIN, run_server
from specsched.v1 import admin_pb2, admin_pb2_grpc, scheduler_pb2, scheduler_pb2_grpc
from specsched.wire.serving import GrpcServer
from tests.helpers.service import ask, scheduler_over

SERVING = health_pb2.HealthCheckResponse.SERVING


class Flickering(FakeDispatcher):
    """A dispatcher whose only worker comes and goes, and whose jobs wait to be let go."""

    def __init__(self):
        super().__init__(lambda _job: ())
        self.go_on = asyncio.Event()

    def appear(self, *, here):
        self._workers = (FAKE_WORKER,) if here else ()

    async def execute(self, job):
        await self.go_on.wait()
        yield Chunk((9,), finish=FinishReason.LENGTH)


@asynccontextmanager
async def process_over(dispatcher, folder):
    """A public and an operators' port; yields scheduler and channels to both."""
    scheduler = scheduler_over(dispatcher)
    servers = [GrpcServer(f"unix:{folder}/{name}.sock", max_message_bytes=2**20) for name in ("public", "operators")]
    servers[1].add(ADMIN, object())
    forever = asyncio.Event().wait
    served = run_server(servers[0], scheduler, dispatcher, drain_seconds=5.0, failed=forever, beside=servers[1:])
    running = asyncio.create_task(served)
    channels = [grpc.aio.insecure_channel(server.address) for server in servers]
    try:
        yield scheduler, channels, running
    finally:
        for channel in channels:
            await channel.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def gathered(answers):
    return [answer async for answer in answers]


async def health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=5.0)).status


async def until_health(channel, status, seconds=5.0):
    async with asyncio.timeout(seconds):
        while await health(channel) != status:
            await asyncio.sleep(0.01)


async def test_operators_have_a_port_of_their_own(tmp_path):
    async with process_over(Flickering(), tmp_path) as (_, (public, operators), _running):
        await until_health(operators, SERVING)
        said = {}
        for name, channel in (("public", public), ("operators", operators)):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await admin_pb2_grpc.AdminServiceStub(channel).GetConfig(admin_pb2.GetConfigRequest())
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            said[name] = caught.value.details()
    assert "part of the contract" in said["operators"]
    assert "part of the contract" not in said["public"]


async def test_a_call_that_does_not_end_well_is_one_line_of_the_log(tmp_path):
    with capture_logs() as lines:
        async with process_over(Flickering(), tmp_path) as (_, (public, _operators), _running):
            await until_health(public, SERVING)
            stub = scheduler_pb2_grpc.SchedulerServiceStub(public)
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.Abort(scheduler_pb2.AbortRequest(request_id="nobody"))
            await stub.GetLoads(scheduler_pb2.GetLoadsRequest())
    failed = [(line["method"], line["code"]) for line in lines if line["event"] == "call_failed"]
    assert failed == [("Abort", "NOT_FOUND")]


async def test_a_worker_that_comes_back_in_a_drain_makes_nothing_serve_again(tmp_path):
    dispatcher = Flickering()
    async with process_over(dispatcher, tmp_path) as (scheduler, (public, operators), running):
        await until_health(public, SERVING)
        call = asyncio.create_task(gathered(scheduler.generate(ask())))
        while not scheduler.running:
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        await until_health(public, health_pb2.HealthCheckResponse.NOT_SERVING)
        for here in (False, True):
            dispatcher.appear(here=here)
            await asyncio.sleep(0.25)
            assert await health(public) != SERVING
        assert await health(operators) != SERVING
        dispatcher.go_on.set()
        await call
        await asyncio.wait_for(running, 5.0)
