"""How fast admitted work leaves: what a time to come back is measured by."""

import math

_MEMORY_SECONDS = 10.0
_FIRST_GUESS_SECONDS = 1.0
_LEAST_SECONDS = 0.05
_LONGEST_SECONDS = 60.0


class DrainRate:
    """Tokens released per second in which something ran; older ones fade. Two numbers, however long it lives."""

    def __init__(self, now: float) -> None:
        self._seen = now
        self._busy = 0.0
        self._tokens = 0.0
        self._releases = 0.0

    def advance(self, now: float, *, busy: bool) -> None:
        """Let time pass; `busy` says whether something ran in it. Idle time fades nothing."""
        passed = max(0.0, now - self._seen)
        self._seen = now
        if not busy:
            return
        keep = math.exp(-passed / _MEMORY_SECONDS)
        self._busy = self._busy * keep + _MEMORY_SECONDS * (1.0 - keep)
        self._tokens *= keep
        self._releases *= keep

    def released(self, tokens: int) -> None:
        """Count what has left."""
        self._tokens += tokens
        self._releases += 1.0

    def seconds(self, tokens: float, share: float = 1.0) -> float:
        """Estimate the time in which so many tokens leave, at least one request's.

        Args:
            tokens: That have to leave.
            share: Part of the rate that goes to the one who asks.
        """
        if not self._tokens or not self._busy:
            return _FIRST_GUESS_SECONDS
        rate = share * self._tokens / self._busy
        return min(_LONGEST_SECONDS, max(_LEAST_SECONDS, max(tokens, self._tokens / self._releases) / rate))
