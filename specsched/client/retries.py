"""Trying again where a server says that it may help: when it is full or not there, and before anything came back."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from specsched.errors import CapacityError


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, and how patiently. A server's own word on when to come back goes before the pauses here."""

    calls: int = 4
    """In all, the first included."""
    first_seconds: float = 0.1
    """Least pause before the second call; doubles."""
    longest_seconds: float = 5.0
    """A server that asks for more patience than this is not called again."""
    jitter: float = 0.2
    """Share of a pause that is added by chance, so that callers don't come back together."""


NO_RETRIES = Retries(calls=1)


class Tries:
    """One call's tries within one deadline."""

    def __init__(
        self,
        retries: Retries,
        timeout_seconds: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Begin; the time runs from here, pauses included."""
        self._retries = retries
        self._clock = clock
        self._chance = chance
        self._deadline = None if timeout_seconds is None else clock() + timeout_seconds
        self._made = 0

    def left(self) -> float | None:
        """Begin a call; returns the time that it has."""
        self._made += 1
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def pause(self, error: CapacityError) -> float:
        """Return how long to wait before the next call; raises the error when there is none."""
        backoff = self._retries.first_seconds * 2.0 ** (self._made - 1)
        wanted = max(min(backoff, self._retries.longest_seconds), error.retry_after_seconds)
        pause = wanted * (1 + self._retries.jitter * self._chance())
        too_late = self._deadline is not None and self._clock() + pause >= self._deadline
        if self._made >= self._retries.calls or wanted > self._retries.longest_seconds or too_late:
            raise error
        return pause
