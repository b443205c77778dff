"""What may be turned while the service runs: the snapshot in force, the drafts that may be used, what is learnt."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import structlog

from specsched.dispatch.base import Dispatcher
from specsched.policy.memory import Cell
from specsched.records import ModelInfo, WorkerInfo
from specsched.scheduler.board import Board
from specsched.scheduler.observing import Observer
from specsched.scheduler.remembering import Memory
from specsched.scheduler.snapshot import Snapshot

log = structlog.get_logger()


class Steering:
    """Holds what requests are decided under, and hands on what changes. Belongs to the scheduler's event loop."""

    def __init__(self, snapshot: Snapshot, memory: Memory, observer: Observer, dispatcher: Dispatcher) -> None:
        self.snapshot = snapshot
        """What requests that arrive now are decided under."""
        self.board = Board(snapshot.disabled_drafts)
        """Which drafts may be used; `switch` tells the workers."""
        self.traffic: Counter[tuple[str, str]] = Counter()
        """(prompt class, first draft) → requests that were dispatched."""
        self._memory = memory
        self._observer = observer
        self._dispatcher = dispatcher
        self._met: dict[str, tuple[ModelInfo, ...]] = {}
        """Worker → its drafts when it was last met."""
        self._told: dict[str, str] = {}
        """Draft → version that was met last."""
        self._switching: asyncio.Task[None] | None = None

    def meet(self, worker: WorkerInfo) -> None:
        """Take note of the drafts that a worker has by now, however it came by them.

        Of a draft in a new version all that was learnt of the old one is a hint from now on: it begins as its kin.
        """
        if self._met.get(worker.worker_id) == worker.drafts:
            return
        self._met[worker.worker_id] = worker.drafts
        before, versions = self._told, {draft.id: draft.version for draft in worker.drafts}
        self._told = before | versions
        if before and before != self._told:
            self.begin_anew(self.learnt)
            log.info("draft_versions_taken_up", worker=worker.worker_id, drafts=dict(versions.items() - before.items()))

    def begin_anew(self, learnt: Sequence[Cell]) -> None:
        """Decide by a new policy of the same settings that knows this much."""
        self.adopt(replace(self.snapshot, policy=self.snapshot.make_policy()), learnt)

    @property
    def learnt(self) -> tuple[Cell, ...]:
        """All that the policies have learnt."""
        return self._memory.cells

    @property
    def version(self) -> str:
        """Differs whenever what is learnt does."""
        return self._memory.version

    def adopt(self, snapshot: Snapshot, learnt: Sequence[Cell] | None = None) -> None:
        """Decide under another snapshot from now on. Requests that run keep theirs, and what they do is learnt from.

        Args:
            snapshot: Takes the place of the one in force.
            learnt: What its policy knows; None: all that is known. Nothing changes for a policy that stays.
        """
        if snapshot.policy is not self.snapshot.policy:
            self._memory.hand_over(snapshot.policy, self.learnt if learnt is None else learnt)
            self._observer.follow(snapshot.policy)
        self.snapshot = snapshot
        before = self.board.switches
        self.board.configure(snapshot.disabled_drafts)
        if self.board.switches != before:
            self._switching = asyncio.create_task(self.switch())

    async def switch(self) -> None:
        """Have the workers do what the board says; returns when those that are ready do."""
        await self._dispatcher.switch(self.board.switches)

    async def load_draft(self, draft_model: str) -> None:
        """Have the workers load a draft; raises what they raise, Unavailable without any."""
        await self._dispatcher.load_draft(draft_model)
        for worker in self._dispatcher.workers():
            self.meet(worker)

    async def unload_draft(self, draft_model: str) -> None:
        """Have the workers free a draft's memory; raises as `load_draft` does."""
        await self._dispatcher.unload_draft(draft_model)
