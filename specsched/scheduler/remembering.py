"""What the policy learns, kept: taken up at start, written every second, and once more at the end."""

import asyncio

import structlog

from specsched.policy.base import Policy
from specsched.policy.memory import Learner, Store

log = structlog.get_logger()

_SECONDS = 1.0


class Memory:
    """Ties a policy to a store. A policy that learns nothing, or keeps it to itself, is left alone."""

    def __init__(self, policy: Policy, store: Store, seconds: float = _SECONDS) -> None:
        """Take up what is kept."""
        self._learner = policy if isinstance(policy, Learner) else None
        self._store = store
        self._seconds = seconds
        if self._learner is not None:
            cells = store.load()
            self._learner.restore(cells)
            if cells:
                log.info("learned_state_restored", cells=len(cells))
        self._saved = self._revision

    @property
    def _revision(self) -> int:
        return 0 if self._learner is None else self._learner.revision

    async def keep(self) -> None:
        """Save for ever; a crash loses what came since the last second."""
        while True:
            await asyncio.sleep(self._seconds)
            await self.save()

    async def save(self) -> None:
        """Save what is new. A store that fails is said and tried again; no request notices."""
        revision = self._revision
        if self._learner is None or revision == self._saved:
            return
        cells = self._learner.export()
        try:
            await asyncio.to_thread(self._store.save, cells)
        except Exception as error:  # noqa: BLE001 - disk full, file gone, database locked: the service goes on
            log.warning("store_failed", error=str(error))
        else:
            self._saved = revision
