"""Has workers measure anew what rounds cost, where rounds no longer cost what they are predicted to.

Costs tracked round by round come first (`policy.cost`): a profile is wanted where they can no longer follow.
"""

import asyncio
from collections.abc import Callable

import structlog

from specsched.dispatch.base import Dispatcher
from specsched.errors import SpecschedError
from specsched.telemetry.base import Meter

log = structlog.get_logger()

_LOOK_SECONDS = 1.0
_PAUSE_SECONDS = 600.0
"""From one profile of a worker to the next."""
_AGAIN_SECONDS = 10.0
"""Until a worker is asked again that had something better to do."""


class Profiling:
    """Asks idle workers, and none too often."""

    def __init__(self, dispatcher: Dispatcher, meter: Meter, clock: Callable[[], float]) -> None:
        self._dispatcher = dispatcher
        self._meter = meter
        self._clock = clock
        self._not_before: dict[str, float] = {}

    async def keep(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Ask those that want it and have nothing to do."""
        for load in self._dispatcher.loads():
            idle = not load.running_rows and not load.waiting_rows
            if load.profile_wanted and idle and self._clock() >= self._not_before.get(load.worker_id, 0.0):
                await self._profile(load.worker_id)

    async def _profile(self, worker_id: str) -> None:
        started, measured = self._clock(), False
        try:
            measured = await self._dispatcher.profile(worker_id)
        except SpecschedError as error:  # it may be of a version that cannot, or be gone
            log.warning("worker_not_profiled", worker=worker_id, error=str(error))
        if measured:
            self._meter.profiled()
            log.info("worker_profiled", worker=worker_id, seconds=round(self._clock() - started, 3))
        self._not_before[worker_id] = self._clock() + (_PAUSE_SECONDS if measured else _AGAIN_SECONDS)
