"""The worker process: models, one engine thread, WorkerService. It may be killed at any moment."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from functools import partial

import structlog

from specsched.engine.base import EngineCore
from specsched.engine.thread import EngineThread
from specsched.v1 import worker_pb2
from specsched.wire.rotation import Rotation, rotating
from specsched.wire.serving import GrpcServer
from specsched.wire.tls import ServerCertificates
from specsched.worker.servicer import WorkerServicer

log = structlog.get_logger()

MAX_MESSAGE_BYTES = 64 * 2**20


async def run_worker(
    address: str,
    make_engine: Callable[[], EngineCore],
    *,
    drain_seconds: float,
    exit_with_parent: bool = False,
    certificates: ServerCertificates | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Health is NOT_SERVING until the models are loaded.

    Args:
        address: host:port or unix:PATH.
        make_engine: Loads the models; called on the engine's thread.
        drain_seconds: Time that running jobs are given at the end.
        exit_with_parent: Also end when standard input closes, as it does when the process that started us dies.
        certificates: What connections are encrypted with; read again when their files change.

    Raises:
        SetupError: the address or the models cannot be used.
        Exception: what killed the engine.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if exit_with_parent:
        loop.add_reader(sys.stdin.fileno(), _on_standard_input, stop)
    server = GrpcServer(address, max_message_bytes=MAX_MESSAGE_BYTES, certificates=certificates)
    thread = EngineThread(make_engine)
    servicer = WorkerServicer(thread, partial(server.set_serving, serving=False))
    server.add(worker_pb2.DESCRIPTOR.services_by_name["WorkerService"], servicer)
    await server.start()
    rotations = []
    if certificates is not None:
        rotations.append(Rotation("workers.tls_certificate_file", certificates.files.all, certificates.read))
    try:
        async with rotating(rotations):
            await _serve(server, thread, stop, drain_seconds)
    finally:
        await server.stop(0)
        await thread.stop()


async def _serve(server: GrpcServer, thread: EngineThread, stop: asyncio.Event, drain_seconds: float) -> None:
    stopped = asyncio.create_task(stop.wait())
    loading = asyncio.create_task(thread.start())
    await asyncio.wait({loading, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not loading.done():
        return
    info = loading.result()
    await server.set_serving(serving=True)
    log.info("worker_serving", address=server.address, target=info.target.id, drafts=[d.id for d in info.drafts])
    ended = asyncio.create_task(thread.ended())
    await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        ended.result()
    await server.set_serving(serving=False)
    log.info("worker_draining")
    try:
        async with asyncio.timeout(drain_seconds):
            await thread.drain()
    except TimeoutError:
        log.warning("worker_drain_timeout", seconds=drain_seconds)


def _on_standard_input(stop: asyncio.Event) -> None:
    """Set `stop` when standard input ends: the process at its other end is gone."""
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()
