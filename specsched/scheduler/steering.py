"""What may be turned while the service runs: the snapshot in force, the drafts that may be used, what is learnt."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from specsched.dispatch.base import Dispatcher
from specsched.policy.memory import Cell
from specsched.scheduler.board import Board
from specsched.scheduler.observing import Observer
from specsched.scheduler.remembering import Memory
from specsched.scheduler.snapshot import Snapshot


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
        self._switching: asyncio.Task[None] | None = None

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

    async def unload_draft(self, draft_model: str) -> None:
        """Have the workers free a draft's memory; raises as `load_draft` does."""
        await self._dispatcher.unload_draft(draft_model)
