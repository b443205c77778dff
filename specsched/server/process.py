"""The scheduler process: the public server, from start to drained end."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from specsched.dispatch.base import Dispatcher
from specsched.scheduler.scheduler import Scheduler
from specsched.server.servicer import SchedulerServicer
from specsched.v1 import admin_pb2, scheduler_pb2, telemetry_pb2
from specsched.wire.rpc import CallObserver, Observed, unobserved
from specsched.wire.serving import GrpcServer

log = structlog.get_logger()

_HEALTH_SECONDS = 0.1
_MEASURE_SECONDS = 0.1

SCHEDULER = scheduler_pb2.DESCRIPTOR.services_by_name["SchedulerService"]
ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]
TELEMETRY = telemetry_pb2.DESCRIPTOR.services_by_name["TelemetryService"]

METHODS = tuple(method.name for service in (SCHEDULER, ADMIN, TELEMETRY) for method in service.methods)
"""RPCs of this process; no two services share a name."""


async def run_server(
    server: GrpcServer,
    scheduler: Scheduler,
    dispatcher: Dispatcher,
    *,
    drain_seconds: float,
    failed: Callable[[], Awaitable[None]],
    observe: CallObserver = unobserved,
    beside: Sequence[GrpcServer] = (),
) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Args:
        server: Bound, not started.
        scheduler: Takes the requests.
        dispatcher: Says whether a worker is ready; health follows it.
        drain_seconds: Time that running requests are given at the end.
        failed: Raises when the service can never work; else does not return.
        observe: Told of every call that ended.
        beside: Further servers, bound and with their services; they answer until the public one has drained.
    """
    servers = (server, *beside)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server.add(SCHEDULER, Observed(SchedulerServicer(scheduler), _told(observe)))
    for each in servers:
        await each.start()
    log.info("listening", address=server.address)
    health = asyncio.ensure_future(_follow_health(servers, dispatcher))
    duties = (stop.wait(), failed(), _measure(scheduler), scheduler.keep_learned(), scheduler.profiling.keep())
    tasks = [health, *map(asyncio.ensure_future, duties)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        await _ended(health)  # before the last word on health is said
        for each in servers:
            await each.set_serving(serving=False)
        log.info("draining", running=scheduler.running, seconds=drain_seconds)
        await scheduler.drain(drain_seconds)
        await scheduler.save_learned()
        log.info("stopped")
    finally:
        await _ended(*tasks)
        for each in servers:
            await each.stop(0.5)


def _told(observe: CallObserver) -> CallObserver:
    """Say in the log as well which calls did not end well: those that did leave their `request_complete`."""

    def ended(method: str, code: str, seconds: float) -> None:
        observe(method, code, seconds)
        if code != "OK":
            log.info("call_failed", method=method, code=code, seconds=round(seconds, 4))

    return ended


async def _ended(*tasks: "asyncio.Future[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _follow_health(servers: Sequence[GrpcServer], dispatcher: Dispatcher) -> None:
    """SERVING while a worker is ready; said only when it changes."""
    serving = False
    while True:
        if serving != bool(dispatcher.workers()):
            serving = not serving
            for server in servers:
                await server.set_serving(serving=serving)
            log.info("health", serving=serving)
        await asyncio.sleep(_HEALTH_SECONDS)


async def _measure(scheduler: Scheduler) -> None:
    """Have the scheduler say what only a look can tell, for ever."""
    while True:
        scheduler.measure()
        await asyncio.sleep(_MEASURE_SECONDS)
