"""Pauses between restarts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between restarts: each longer than the last one, up to a bound."""

    first_seconds: float = 0.5
    longest_seconds: float = 30.0
    healthy_seconds: float = 10.0
    """A worker that served this long starts again from the first pause."""

    def pause(self, restarts: int) -> float:
        """Return the pause before the n-th restart in a row, n from 1."""
        return min(self.longest_seconds, self.first_seconds * 2.0 ** min(restarts - 1, 64))
