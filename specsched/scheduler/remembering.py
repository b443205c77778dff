"""What the policy learns, kept: taken up at start, written every second, and once more at the end."""

import asyncio
from collections.abc import Sequence

import structlog

from specsched.policy.base import Policy
from specsched.policy.memory import Cell, Learner, Store
from specsched.policy.shared import SharedStore

log = structlog.get_logger()

_SECONDS = 1.0


class Memory:
    """Ties a policy to a store. A policy that learns nothing, or keeps it to itself, is left alone."""

    def __init__(self, policy: Policy, store: Store, seconds: float = _SECONDS) -> None:
        """Take up what is kept."""
        self._learner = policy if isinstance(policy, Learner) else None
        self._store = store
        self._seconds = seconds
        self._policies = 0
        self._idle = store.load()
        """What was learnt before a policy came that learns nothing."""
        if self._learner is not None:
            self._learner.restore(self._idle)
            if self._idle:
                log.info("learned_state_restored", cells=len(self._idle))
        self._saved = self._state
        self._failing = False

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All that is learnt, also while a policy is in force that learns nothing."""
        return self._idle if self._learner is None else self._learner.export()

    def hand_over(self, policy: Policy, cells: Sequence[Cell]) -> None:
        """Go on with another policy, which takes these cells up. One that learns nothing leaves them as they are."""
        self._learner = policy if isinstance(policy, Learner) else None
        self._idle = tuple(cells)
        if self._learner is not None:
            self._learner.restore(cells)
        self._policies += 1

    @property
    def version(self) -> str:
        """Differs whenever the cells do, while this process lives."""
        return ".".join(map(str, self._state))

    @property
    def _state(self) -> tuple[int, int]:
        """Differs whenever the cells do."""
        return self._policies, 0 if self._learner is None else self._learner.revision

    async def keep(self) -> None:
        """Save for ever; a crash loses what came since the last second."""
        while True:
            await asyncio.sleep(self._seconds)
            await self.save()

    async def save(self) -> None:
        """Save what is new, and take up what others learnt. A store that fails is said once; no request notices."""
        state = self._state
        shared = self._store if isinstance(self._store, SharedStore) else None
        if state == self._saved and (shared is None or self._learner is None):
            return
        try:
            if shared is None:
                await asyncio.to_thread(self._store.save, self.cells)
            else:
                await self._exchange(shared)
        except Exception as error:  # noqa: BLE001 - disk full, file gone, locked, server away: the service goes on
            if not self._failing:
                log.warning("store_failed", error=str(error))
            self._failing = True
        else:
            if self._failing:
                log.info("store_works_again")
            self._saved, self._failing = state, False

    async def _exchange(self, shared: SharedStore) -> None:
        learner = self._learner
        news = await asyncio.to_thread(shared.sync, self.cells)
        if news and learner is not None and learner is self._learner:
            learner.restore(news)
            shared.took(news)
