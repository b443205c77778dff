"""A request's place in the service, from its arrival to its end."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from specsched.errors import CapacityError
from specsched.records import ANYBODY, Caller
from specsched.scheduler.admission.fair_queue import Ticket


class Stage(Enum):
    """How far a request is."""

    READING = "reading"
    WAITING = "waiting"
    RUNNING = "running"
    GONE = "gone"


@dataclass(eq=False, slots=True, kw_only=True)
class Place(Ticket):
    """What one request holds."""

    queue_up: Callable[["Place", int], None]
    caller: Caller = ANYBODY
    stage: Stage = Stage.READING
    used: int = 0
    """Tokens that it came to; what else it asked for is given back."""
    refusal: CapacityError | None = None
    """Why it had to give way while it waited."""
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def turn(self, tokens: int, aborted: asyncio.Event, seconds: float | None) -> bool:
        """Ask for tokens, and wait to be called. Returns False when aborted, or when the time is over, before that.

        Args:
            tokens: Prompt and completion, at most.
            aborted: Ends the wait.
            seconds: The longest wait; None for ever.

        Raises:
            Overloaded: there is no room to wait in, or no more.
            QuotaExceeded: more than the caller may take.
        """
        self.queue_up(self, tokens)
        if not self.called.is_set():
            await _either(self.called, aborted, seconds)
        if self.refusal is not None:
            raise self.refusal
        return self.stage is Stage.RUNNING


async def _either(one: asyncio.Event, other: asyncio.Event, seconds: float | None) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in (one, other)]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
