"""Scheduler and worker over TCP: each shows the other its certificate, or nothing is said."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import trustme

from specsched.dispatch.grpc import GrpcDispatcher
from specsched.engine.fake import ScriptedEngine
from specsched.engine.thread import EngineThread
from specsched.records import Job, Plan, Sampling
from specsched.v1 import worker_pb2
from specsched.wire.serving import GrpcServer
from specsched.wire.tls import ChannelCertificates, ServerCertificates, TlsFiles
from specsched.worker.servicer import WorkerServicer
from tests.helpers.certificates import issue


@asynccontextmanager
async def remote_worker(files):
    """A scripted worker on a TCP port."""
    thread = EngineThread(lambda: ScriptedEngine(worker_id="remote"))
    server = GrpcServer("localhost:0", max_message_bytes=2**20, certificates=ServerCertificates(files))
    service = worker_pb2.DESCRIPTOR.services_by_name["WorkerService"]
    server.add(service, WorkerServicer(thread, partial(server.set_serving, serving=False)))
    await server.start()
    await thread.start()
    await server.set_serving(serving=True)
    try:
        yield server.address
    finally:
        await server.stop(0)
        await thread.stop()


async def test_a_remote_worker_serves_a_scheduler_that_its_authority_vouches_for(tmp_path):
    nodes = trustme.CA()
    scheduler = ChannelCertificates(issue(tmp_path, "scheduler", nodes, "scheduler"))
    async with remote_worker(issue(tmp_path, "worker", nodes, "localhost")) as address:
        dispatcher = GrpcDispatcher(credentials=scheduler)
        async with dispatcher.connect((address,)), asyncio.timeout(20):
            await dispatcher.ready()
            job = Job("r", (20, 21), Sampling(temperature=0.0), Plan("draft", 2), 0, max_tokens=9)
            chunks = [chunk async for chunk in dispatcher.execute(job)]
    assert sum(len(chunk.token_ids) for chunk in chunks) == 9


async def test_a_certificate_that_is_exchanged_is_shown_from_then_on_and_streams_go_on(tmp_path):
    nodes = trustme.CA()
    files = issue(tmp_path, "scheduler", nodes, "scheduler")
    shown = ChannelCertificates(files)
    async with remote_worker(issue(tmp_path, "worker", nodes, "localhost")) as address:
        dispatcher, told = GrpcDispatcher(credentials=shown), []
        observe = lambda _address, ready: told.append(ready)  # noqa: E731
        async with dispatcher.connect((address,), (observe,)), asyncio.timeout(20):
            await dispatcher.ready()
            job = Job("r", (20, 21), Sampling(temperature=0.0), Plan("draft", 2), 0, max_tokens=1500)
            chunks = dispatcher.execute(job)
            said = len((await anext(chunks)).token_ids)
            before = dispatcher._connections[0]._channel.stub
            issue(tmp_path, "scheduler", nodes, "scheduler")
            shown.read()()
            while dispatcher._connections[0]._channel.stub is before:
                await asyncio.sleep(0.02)
            said += sum([len(chunk.token_ids) async for chunk in chunks])
            later = [chunk async for chunk in dispatcher.execute(replace(job, request_id="s", max_tokens=9))]
    assert said == 1500
    assert sum(len(chunk.token_ids) for chunk in later) == 9
    assert told == [True]


async def test_a_stranger_and_a_plain_connection_are_told_nothing(tmp_path):
    nodes, others = trustme.CA(), trustme.CA()
    files = issue(tmp_path, "worker", nodes, "localhost")
    stranger = issue(tmp_path, "stranger", others, "scheduler")
    lied = ChannelCertificates(TlsFiles(stranger.certificate, stranger.key, files.ca))
    async with remote_worker(files) as address:
        for credentials in (lied, None):
            dispatcher = GrpcDispatcher(credentials=credentials)
            async with dispatcher.connect((address,)):
                await asyncio.sleep(0.5)
                assert dispatcher.workers() == []
