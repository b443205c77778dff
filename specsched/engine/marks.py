"""Times of what a device does, taken without waiting for it."""

import time
from collections.abc import Callable
from typing import Any, Protocol

import torch


class Marks(Protocol):
    """Points in the order of the work."""

    def now(self) -> Any:
        """Mark the point that the queued work reaches."""
        ...

    def between(self, first: Any, second: Any) -> float:
        """Return the seconds from one mark to another, once the work of both is done."""
        ...


class ClockMarks:
    """Marks of the host's clock: for a CPU, where what is called is done."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    def now(self) -> float:
        """Return the time."""
        return self._clock()

    def between(self, first: float, second: float) -> float:
        """Subtract."""
        return second - first


class EventMarks:
    """CUDA events. They are asked for after the round's read, when nothing is left to wait for."""

    def now(self) -> torch.cuda.Event:
        """Record an event."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, first: torch.cuda.Event, second: torch.cuda.Event) -> float:
        """Ask the device."""
        second.synchronize()
        return float(first.elapsed_time(second)) / 1e3


def marks_for(device: torch.device, clock: Callable[[], float] = time.monotonic) -> Marks:
    """Return marks that tell a device's own time."""
    return EventMarks() if device.type == "cuda" else ClockMarks(clock)
