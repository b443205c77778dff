"""One worker behind gRPC: watched for health, asked for signs of life, held to its rounds."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2

from specsched.dispatch.channel import Credentials, WorkerChannel
from specsched.dispatch.drafts import WorkerDrafts
from specsched.dispatch.outage import Outage
from specsched.dispatch.outstanding import Outstanding, as_reported
from specsched.dispatch.patience import Patience
from specsched.errors import CallFailed, JobFailed, RequestError, Unavailable, WorkerLost
from specsched.records import Chunk, Job, WorkerInfo, WorkerLoad
from specsched.v1 import worker_pb2
from specsched.wire.job import chunks_from_proto, job_to_proto
from specsched.wire.status import error_of, raised_there
from specsched.wire.trace import trace_metadata
from specsched.wire.worker import grid_from_proto, info_from_proto, reported_from_proto

log = structlog.get_logger()

WorkerObserver = Callable[[str, bool], None]
"""Told whether the worker at an address is ready, whenever that changes."""

UnresponsiveObserver = Callable[[str, str], None]
"""Told of a worker that was ready and answers no more, by its address, and why. It may be dead, or hang."""

_RECONNECT_SECONDS = 0.1
_REPORT_SECONDS = 1.0
"""Between two reports of a worker's KV and guard: one small call a second costs less than a field in every round."""
_PROFILE_SECONDS = 120.0
_LONGEST_PAUSE_SECONDS = 30.0
_LEAST_LOOK_SECONDS = 0.05


class WorkerConnection:
    """One worker's address: described once it serves, and again after each loss."""

    def __init__(
        self,
        address: str,
        name: Callable[[str, str], str],
        observers: Sequence[WorkerObserver],
        unresponsive: UnresponsiveObserver,
        patience: Patience,
        credentials: Credentials,
    ) -> None:
        """Name a worker's address.

        Args:
            address: host:port or unix:PATH.
            name: (what it calls itself, its address) → what it is called here.
            observers: Told whether it is ready.
            unresponsive: Told when it stops answering.
            patience: How long it may keep silent.
            credentials: Shown to it at a TCP address. When they change a new connection takes over.
        """
        self.address = address
        self._name = name
        self._observers = observers
        self._unresponsive = unresponsive
        self._patience = patience
        self.info: WorkerInfo | None = None
        """None while it is not ready."""
        self.outstanding = Outstanding(address)
        self._reported = WorkerLoad(address, 0, 0, 0, 0)
        self._suspected = asyncio.Event()
        self._outage = Outage(address, patience.outage_seconds)
        self._hangs = 0
        """In a row, no word between them."""
        self._channel = WorkerChannel(address, patience, credentials)
        self.drafts = WorkerDrafts(lambda: self._channel.stub)

    async def watch(self, changed: asyncio.Event) -> None:
        """Follow the worker's health for ever; sets `changed` when it becomes ready."""
        while True:
            self._suspected.clear()
            watched = (
                self._follow(changed),
                self._suspected.wait(),
                self._until_hung(),
                self._channel.until_outdated(),
            )
            tasks = [asyncio.ensure_future(each) for each in watched]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                followed, *_ = await _cancelled(tasks)
            if self._channel.outdated:
                self._channel.renew()
                continue
            if self.info is not None:  # its health's stream broke off, without a word that it drains
                self._lost("connection lost")
            if isinstance(followed, Exception):
                self._outage.goes_on(_cause(followed))
            await asyncio.sleep(min(_LONGEST_PAUSE_SECONDS, _RECONNECT_SECONDS * 2.0**self._hangs))

    async def close(self) -> None:
        """Close all that was opened."""
        await self._channel.close()

    def load(self) -> WorkerLoad:
        """How busy it is, as far as is known here; KV and guard are as it last said."""
        assert self.info is not None, "asked for the load of a worker that is not ready"
        return as_reported(self.outstanding.load(self.info.max_rows), self._reported)

    async def ask_loads(self) -> None:
        """Have it say what only it knows, for ever. One that does not answer is its health's concern alone."""
        while True:
            if self.info is not None:
                with suppress(grpc.aio.AioRpcError):
                    answer = await self._channel.stub.Describe(worker_pb2.DescribeRequest(), timeout=_REPORT_SECONDS)
                    self._reported = reported_from_proto(answer)
            await asyncio.sleep(_REPORT_SECONDS)

    async def obey(self) -> None:
        """Have the worker use the drafts that are wanted; one that does not answer is taken as lost."""
        if self.info is None:
            return  # it obeys before it is ready
        try:
            await self.drafts.obey(self.info)
        except grpc.aio.AioRpcError as error:
            log.warning("worker_does_not_obey", worker=self.info.worker_id, error=error.code().name)
            self._suspected.set()

    async def profile(self) -> bool:
        """Have the worker measure its costs anew, and go by them; returns whether it did."""
        try:
            answer = await self._channel.stub.ProfileCosts(worker_pb2.ProfileCostsRequest(), timeout=_PROFILE_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from error
        if answer.measured and self.info is not None:
            self.info = replace(self.info, costs=grid_from_proto(answer.costs))
        return bool(answer.measured)

    async def execute(self, job: Job) -> AsyncGenerator[Chunk, None]:
        """Run a job; closing the generator cancels the call."""
        outstanding = self.outstanding  # another one follows when the worker is ready again
        call = self._channel.stub.Execute(job_to_proto(job), metadata=trace_metadata(job.trace_parent))
        self._channel.calls.add(call)
        try:
            with outstanding.track(job) as ticket:
                async for message in call:
                    self._hangs = 0
                    for chunk in chunks_from_proto(message, outstanding.worker_id):
                        outstanding.delivered(ticket, chunk)
                        yield chunk
                    outstanding.awaits(ticket)
        except grpc.aio.AioRpcError as error:
            raise self._raised(error, outstanding) from error
        except asyncio.CancelledError:
            if call not in self._channel.calls and not _cancelling():  # the call was cut, not its reader
                raise WorkerLost("it hangs", alone=outstanding.rows_at_loss == 1) from None
            raise
        finally:
            self._channel.calls.discard(call)
            call.cancel()

    def _raised(self, error: grpc.aio.AioRpcError, outstanding: Outstanding) -> Exception:
        """Tell what is wrong with the job from what is wrong with the worker, and that from a lost connection."""
        raised = error_of(error)
        if isinstance(raised, RequestError):
            return raised
        if isinstance(raised, CallFailed) and raised_there(error):  # it could say so: it goes on
            return JobFailed(str(raised))
        outstanding.lost()
        drains = isinstance(raised, Unavailable) and raised_there(error)
        if outstanding is self.outstanding:  # now, not when its health says so: the next try must not come here again
            self._lost(None if drains else "connection lost")
            self._suspected.set()
        return WorkerLost(f"{error.code().name}: {raised}", alone=not drains and outstanding.rows_at_loss == 1)

    async def _follow(self, changed: asyncio.Event) -> None:
        async for answer in self._channel.health.Watch(health_pb2.HealthCheckRequest()):
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                described = await self._channel.stub.Describe(worker_pb2.DescribeRequest())
                info, self._reported = info_from_proto(described), reported_from_proto(described)
                await self.drafts.obey(info)
                known = self.info
                info = self.info = replace(info, worker_id=self._name(info.worker_id, self.address))
                self._outage.end()
                if known is not None:  # over another connection: its rows run on
                    continue
                self.outstanding = Outstanding(info.worker_id)
                log.info("worker_ready", worker=info.worker_id, address=self.address, numerics_id=info.numerics_id)
                self._tell(ready=True)
                changed.set()
            else:
                self._outage.end()
                self._lost(None)

    async def _until_hung(self) -> None:
        """Return when rows wait for a round for longer than the worker may take."""
        look = max(_LEAST_LOOK_SECONDS, min(1.0, self._patience.round_seconds / 8))
        loop = asyncio.get_running_loop()
        while True:
            slept = loop.time()
            await asyncio.sleep(look)
            if loop.time() - slept > 2 * look:  # this process stood still: what came meanwhile is not read yet
                self.outstanding.excuse()
            if self.info is None:
                continue
            limit = self._patience.round_limit(self.info.costs, self.outstanding.unread_tokens)
            if self.outstanding.silent_seconds > limit:
                self._hung(limit)
                return

    def _hung(self, limit: float) -> None:
        """Give its rows up, for others to take."""
        self._hangs += 1
        self.outstanding.lost()
        self._lost(f"no round within {limit:.1f} s")
        self._channel.cut()

    def _lost(self, why: str | None) -> None:
        """Take it out; `why` where it did not say so itself."""
        if self.info is None:
            return
        log.warning("worker_not_ready", worker=self.info.worker_id, address=self.address, reason=why or "draining")
        self.info = None
        self._tell(ready=False)
        if why is not None:
            self._unresponsive(self.address, why)

    def _tell(self, *, ready: bool) -> None:
        for observer in self._observers:
            observer(self.address, ready)


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _cause(error: Exception) -> str:
    """Say in a line why a worker's health cannot be followed."""
    return f"{error.code().name}: {error.details()}" if isinstance(error, grpc.aio.AioRpcError) else repr(error)


async def _cancelled(tasks: Iterable[asyncio.Future[Any]]) -> list[Any]:
    """Cancel all, and return what they come to, or raise."""
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)
