"""Workers behind gRPC: Unix sockets on this host, TCP elsewhere."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Self

from specsched.dispatch.channel import Credentials, no_credentials
from specsched.dispatch.connection import UnresponsiveObserver, WorkerConnection, WorkerObserver
from specsched.dispatch.drafts import WorkerDrafts
from specsched.dispatch.patience import Patience
from specsched.errors import Unavailable
from specsched.records import Chunk, DraftSwitches, Job, WorkerInfo, WorkerLoad


class GrpcDispatcher:
    """Sends each job to the ready worker with the least outstanding tokens. Knows none until it is connected."""

    def __init__(self, credentials: Credentials | None = None, patience: Patience | None = None) -> None:
        """Set up.

        Args:
            credentials: What is shown now to workers at TCP addresses; None: connections are plain.
            patience: How long a worker may keep silent.
        """
        self._credentials = credentials or no_credentials
        self._patience = patience or Patience()
        self._switches = DraftSwitches()
        self._connections: list[WorkerConnection] = []
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def connect(
        self,
        addresses: Sequence[str],
        observers: Sequence[WorkerObserver] = (),
        unresponsive: UnresponsiveObserver = lambda _address, _why: None,
    ) -> AsyncGenerator[Self]:
        """Watch the workers at these addresses; disconnect at the end."""
        self._connections = [
            WorkerConnection(each, self._name, observers, unresponsive, self._patience, self._credentials)
            for each in addresses
        ]
        self._want(self._switches)
        watches = [asyncio.create_task(each.watch(self._changed)) for each in self._connections]
        watches += [asyncio.create_task(each.ask_loads()) for each in self._connections]
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
        """The workers that are ready now, no two of one name."""
        return [connection.info for connection in self._connections if connection.info is not None]

    async def ready(self) -> None:
        """Return as soon as one is."""
        while not self._ready:
            self._changed.clear()
            await self._changed.wait()

    def loads(self) -> Sequence[WorkerLoad]:
        """How busy the ready ones are."""
        return [connection.load() for connection in self._ready]

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

    async def profile(self, worker_id: str) -> bool:
        """Have a worker measure its costs anew."""
        for connection in self._ready:
            if connection.info is not None and connection.info.worker_id == worker_id:
                return await connection.profile()
        raise Unavailable(f"{worker_id} is not ready", retry_after_seconds=1.0)

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

    def execute(self, job: Job) -> AsyncGenerator[Chunk, None]:
        """Run a job on the ready worker with the least outstanding tokens."""
        ready = self._ready
        if not ready:
            raise Unavailable("no worker is ready", retry_after_seconds=1.0)
        return min(ready, key=lambda connection: connection.outstanding.tokens).execute(job)

    @property
    def _ready(self) -> list[WorkerConnection]:
        return [connection for connection in self._connections if connection.info is not None]

    def _name(self, worker_id: str, address: str) -> str:
        """Tell workers apart that were started with the same `--id`."""
        others = {c.info.worker_id for c in self._connections if c.info is not None and c.address != address}
        return f"{worker_id}@{address}" if worker_id in others else worker_id
