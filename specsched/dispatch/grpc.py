"""Workers behind gRPC: Unix sockets on this host, TCP elsewhere."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Self

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from specsched.dispatch.drafts import WorkerDrafts
from specsched.dispatch.outstanding import Outstanding, as_reported
from specsched.errors import RequestError, Unavailable, WorkerLost
from specsched.records import Chunk, DraftSwitches, Job, WorkerInfo, WorkerLoad
from specsched.v1 import worker_pb2, worker_pb2_grpc
from specsched.wire.job import chunk_from_proto, job_to_proto
from specsched.wire.status import error_of
from specsched.wire.tls import open_channel
from specsched.wire.trace import trace_metadata
from specsched.wire.worker import info_from_proto, load_from_proto

log = structlog.get_logger()

WorkerObserver = Callable[[str, bool], None]
"""Told whether the worker at an address is ready, whenever that changes."""

_RECONNECT_SECONDS = 0.1
_REPORT_SECONDS = 1.0
"""Between two reports of a worker's KV and guard: one small call a second costs less than a field in every round."""
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),
)


class WorkerConnection:
    """One worker's address: watched for health, described once it serves."""

    def __init__(
        self, address: str, observe: WorkerObserver, credentials: grpc.ChannelCredentials | None = None
    ) -> None:
        self.address = address
        self._observe = observe
        self.info: WorkerInfo | None = None
        """None while it is not ready."""
        self.outstanding = Outstanding(address)
        self._reported = WorkerLoad(address, 0, 0, 0, 0)
        self._suspected = asyncio.Event()
        self._channel = open_channel(address, credentials, _OPTIONS)
        self._stub = worker_pb2_grpc.WorkerServiceStub(self._channel)
        self.drafts = WorkerDrafts(self._stub)
        self._health: Any = health_pb2_grpc.HealthStub(self._channel)  # its stubs know no aio

    async def watch(self, changed: asyncio.Event) -> None:
        """Follow the worker's health for ever; sets `changed` when it becomes ready."""
        while True:
            self._suspected.clear()
            tasks = {asyncio.ensure_future(self._follow(changed)), asyncio.ensure_future(self._suspected.wait())}
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _cancelled(tasks)
            self._lost()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    def load(self) -> WorkerLoad:
        """How busy it is, as far as is known here; KV and guard are as it last said."""
        assert self.info is not None, "asked for the load of a worker that is not ready"
        return as_reported(self.outstanding.load(self.info.max_rows), self._reported)

    async def ask_load(self) -> None:
        """Have it say what only it knows. One that does not answer is its health's concern, not this call's."""
        if self.info is not None:
            with suppress(grpc.aio.AioRpcError):
                answer = await self._stub.Describe(worker_pb2.DescribeRequest(), timeout=_REPORT_SECONDS)
                self._reported = load_from_proto(answer.load)

    async def obey(self) -> None:
        """Have the worker use the drafts that are wanted; one that does not answer is taken as lost."""
        if self.info is None:
            return  # it obeys before it is ready
        try:
            await self.drafts.obey(self.info)
        except grpc.aio.AioRpcError as error:
            log.warning("worker_does_not_obey", worker=self.info.worker_id, error=error.code().name)
            self._suspected.set()

    async def execute(self, job: Job) -> AsyncGenerator[Chunk, None]:
        """Run a job; closing the generator cancels the call."""
        worker_id = self.outstanding.worker_id
        call = self._stub.Execute(job_to_proto(job), metadata=trace_metadata(job.trace_parent))
        try:
            with self.outstanding.track(job) as ticket:
                async for message in call:
                    chunk = chunk_from_proto(message, worker_id)
                    ticket.delivered(chunk)
                    yield chunk
        except grpc.aio.AioRpcError as error:
            raised = error_of(error)
            if isinstance(raised, RequestError):
                raise raised from error
            self._lost()  # now, not when its health says so: the next try must not come here again
            self._suspected.set()
            raise WorkerLost(f"{error.code().name}: {raised}") from error
        finally:
            call.cancel()

    async def _follow(self, changed: asyncio.Event) -> None:
        async for answer in self._health.Watch(health_pb2.HealthCheckRequest()):
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                described = await self._stub.Describe(worker_pb2.DescribeRequest())
                info, self._reported = info_from_proto(described), load_from_proto(described.load)
                await self.drafts.obey(info)
                self.outstanding = Outstanding(info.worker_id)
                self.info = info
                log.info("worker_ready", worker=info.worker_id, address=self.address, numerics_id=info.numerics_id)
                self._observe(self.address, True)  # noqa: FBT003 - an observer's arguments have no names
                changed.set()
            else:
                self._lost()

    def _lost(self) -> None:
        if self.info is not None:
            log.warning("worker_not_ready", worker=self.info.worker_id, address=self.address)
            self.info = None
            self._observe(self.address, False)  # noqa: FBT003


class GrpcDispatcher:
    """Sends each job to the ready worker with the least outstanding tokens. Knows none until it is connected."""

    def __init__(self, credentials: grpc.ChannelCredentials | None = None) -> None:
        """Say what is shown to workers at TCP addresses; None: connections are plain."""
        self._credentials = credentials
        self._connections: list[WorkerConnection] = []
        self._switches = DraftSwitches()
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def connect(
        self, addresses: Sequence[str], observe: WorkerObserver = lambda _address, _ready: None
    ) -> AsyncGenerator[Self]:
        """Watch the workers at these addresses; disconnect at the end."""
        self._connections = [WorkerConnection(address, observe, self._credentials) for address in addresses]
        self._want(self._switches)
        watches = [asyncio.create_task(each.watch(self._changed)) for each in self._connections]
        watches += [asyncio.create_task(_ask_loads(each)) for each in self._connections]
        try:
            yield self
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
            for connection in self._connections:
                await connection.close()
            self._connections = []

    def workers(self) -> Sequence[WorkerInfo]:
        """The workers that are ready now."""
        return [connection.info for connection in self._connections if connection.info is not None]

    async def ready(self) -> None:
        """Return as soon as one is."""
        while not self.workers():
            self._changed.clear()
            await self._changed.wait()

    def loads(self) -> Sequence[WorkerLoad]:
        """How busy the ready ones are."""
        return [connection.load() for connection in self._connections if connection.info is not None]

    async def switch(self, switches: DraftSwitches) -> None:
        """Have every worker use only these drafts, now or before it is ready."""
        self._want(switches)
        await asyncio.gather(*(connection.obey() for connection in self._connections))

    async def load_draft(self, draft_model: str) -> None:
        """Have every ready worker load a draft."""
        await self._with_each(lambda drafts: drafts.load(draft_model))

    async def unload_draft(self, draft_model: str) -> None:
        """Have every ready worker free a draft's memory."""
        await self._with_each(lambda drafts: drafts.unload(draft_model))

    def _want(self, switches: DraftSwitches) -> None:
        self._switches = switches
        for connection in self._connections:
            connection.drafts.wanted = switches

    async def _with_each(self, act: Callable[[WorkerDrafts], Awaitable[WorkerInfo]]) -> None:
        """Have all ready workers do something; those that did it say what they are now, whatever became of others."""
        ready = [connection for connection in self._connections if connection.info is not None]
        if not ready:
            raise Unavailable("no worker is ready", retry_after_seconds=1.0)
        answers = await asyncio.gather(*(act(each.drafts) for each in ready), return_exceptions=True)
        for connection, answer in zip(ready, answers, strict=True):
            if isinstance(answer, WorkerInfo) and connection.info is not None:
                connection.info = replace(answer, worker_id=connection.info.worker_id)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    async def execute(self, job: Job) -> AsyncGenerator[Chunk, None]:
        """Run a job on the ready worker with the least outstanding tokens."""
        ready = [connection for connection in self._connections if connection.info is not None]
        if not ready:
            raise Unavailable("no worker is ready", retry_after_seconds=1.0)
        chosen = min(ready, key=lambda connection: connection.outstanding.tokens)
        async with aclosing(chosen.execute(job)) as chunks:
            async for chunk in chunks:
                yield chunk


async def _ask_loads(connection: WorkerConnection) -> None:
    while True:
        await connection.ask_load()
        await asyncio.sleep(_REPORT_SECONDS)


async def _cancelled(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel all, and take what they still raise: a worker that is not there is said once, and tried again."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
