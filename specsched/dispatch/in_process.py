"""A worker in this process: no sockets, one engine thread."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from specsched.dispatch.outstanding import Outstanding
from specsched.engine.thread import EngineThread
from specsched.records import Chunk, DraftSwitches, Job, WorkerInfo, WorkerLoad


class InProcessDispatcher:
    """Reaches an engine thread that has been started."""

    def __init__(self, thread: EngineThread, info: WorkerInfo) -> None:
        self._thread = thread
        self._info = info
        self._outstanding = Outstanding(info.worker_id)

    def workers(self) -> Sequence[WorkerInfo]:
        """The one worker."""
        return (self._info,)

    async def ready(self) -> None:
        """It is, or it will never be again."""

    def loads(self) -> Sequence[WorkerLoad]:
        """Its load."""
        return (self._outstanding.load(self._info.max_rows),)

    async def switch(self, switches: DraftSwitches) -> None:
        """Tell the engine of each draft."""
        for draft in self._info.drafts:
            await self._thread.set_draft_state(draft.id, active=switches.allow(draft.id))

    async def load_draft(self, draft_model: str) -> None:
        """Load a draft beside the running rows."""
        self._info = await self._thread.load_draft(draft_model)

    async def unload_draft(self, draft_model: str) -> None:
        """Free a draft's memory."""
        self._info = await self._thread.unload_draft(draft_model)

    async def profile(self, worker_id: str) -> bool:  # noqa: ARG002 - there is but one
        """Have the engine measure its costs anew."""
        measured = await self._thread.profile()
        self._info = await self._thread.describe()
        return measured

    async def execute(self, job: Job) -> AsyncGenerator[Chunk, None]:
        """Run a job on the engine's thread."""
        with self._outstanding.track(job) as ticket:
            async with aclosing(self._thread.execute(job)) as chunks:
                async for chunk in chunks:
                    self._outstanding.delivered(ticket, chunk)
                    yield replace(chunk, worker_id=self._info.worker_id)
                    self._outstanding.awaits(ticket)
