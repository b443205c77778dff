"""A worker that is told to drain says so to whoever looks, and refuses."""

import asyncio
from functools import partial

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from specsched.engine.fake import ScriptedEngine
from specsched.engine.thread import EngineThread
from specsched.records import Job, Plan, Sampling
from specsched.v1 import worker_pb2, worker_pb2_grpc
from specsched.wire.job import job_to_proto
from specsched.wire.serving import NOT_SERVING, SERVING, GrpcServer
from specsched.worker.servicer import WorkerServicer


async def test_a_drained_worker_is_not_serving_and_ends_what_it_has(tmp_path):
    thread = EngineThread(lambda: ScriptedEngine(round_seconds=0.002))
    server = GrpcServer(f"unix:{tmp_path}/w.sock", max_message_bytes=2**20)
    service = worker_pb2.DESCRIPTOR.services_by_name["WorkerService"]
    server.add(service, WorkerServicer(thread, partial(server.set_serving, serving=False)))
    await server.start()
    await thread.start()
    await server.set_serving(serving=True)
    job = job_to_proto(Job("r", (20, 21), Sampling(temperature=0.0), Plan("draft", 2), 0, max_tokens=300))
    async with grpc.aio.insecure_channel(server.address) as channel:
        worker, health = worker_pb2_grpc.WorkerServiceStub(channel), health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        running = aiter(worker.Execute(job))
        said = len((await anext(running)).token_ids)
        drained = asyncio.ensure_future(worker.Drain(worker_pb2.DrainRequest()))
        assert (await watch.read()).status == NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await worker.Execute(job).read()
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        said += sum([len(chunk.token_ids) async for chunk in running])
        await drained
        watch.cancel()
    assert said == 300
    await server.stop(0)
    await thread.stop()
