"""Whoever answers a command: a running server, or the engine in this process."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from specsched.cli.environment import apply, compute_environment
from specsched.cli.options import manifest_of
from specsched.config.tree import Config
from specsched.records import Completion, Decision, Request, TextChunk
from specsched.scheduler.scheduler import Scheduler
from specsched.wire.caller import decide_request_to_proto, request_to_proto
from specsched.wire.request import request_from_proto

if TYPE_CHECKING:
    from specsched.client.channel import Access


class Service(Protocol):
    """What a client and a scheduler have in common."""

    def generate(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
        """Yield the deltas of a completion, then its account."""
        ...

    async def decide(self, request: Request) -> Decision:
        """Classify and choose without generating."""
        ...


class _Checked:
    """A scheduler in this process, behind the checks that a server makes."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def generate(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
        return self._scheduler.generate(request_from_proto(request_to_proto(request), self._scheduler.prompt_classes))

    async def decide(self, request: Request) -> Decision:
        message = decide_request_to_proto(request)
        return await self._scheduler.decide(request_from_proto(message, self._scheduler.prompt_classes))


@asynccontextmanager
async def service_at(
    address: str | None,
    config: Config,
    progress: Callable[[str], None] = lambda _stage: None,
    access: "Access | None" = None,
) -> AsyncIterator[Service]:
    """Connect to a server, or load the models into this process.

    Args:
        address: The server's; None loads the models here.
        config: For the engine here.
        progress: Told what is loaded next.
        access: What the server is shown.

    Raises:
        SetupError: the pool cannot be used.
    """
    if address is not None:
        from specsched.client import Client
        from specsched.client.channel import NOBODY

        async with Client(address, access=access or NOBODY) as client:
            yield client
        return
    async with _local(config, progress) as local:
        yield local


@asynccontextmanager
async def _local(config: Config, progress: Callable[[str], None]) -> AsyncIterator[Service]:
    apply(compute_environment(config.workers.threads))
    from specsched.cli.wiring import make_engine, make_scheduler
    from specsched.dispatch.in_process import InProcessDispatcher
    from specsched.engine.thread import EngineThread

    manifest = manifest_of(config)
    thread = EngineThread(lambda: make_engine(config, manifest, "in-process", progress))
    info = await thread.start()
    try:
        yield _Checked(make_scheduler(config, manifest, InProcessDispatcher(thread, info)))
    finally:
        await thread.stop()
