"""Stop strings over a text that comes in pieces."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StopScan:
    """What one piece of text led to."""

    text: str
    """Text that no stop string can touch any more."""
    matched: str | None = None
    """The stop string that was found; what came after it is gone."""


class StopMatcher:
    """Finds the first of several stop strings, and holds back what might be the start of one.

    The match that is complete first wins, and of two that end together the longer one; so the pieces that the
    text comes in make no difference. Held back is the longest proper prefix of any stop string that the text ends
    in: never more than the longest stop string.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._longest = max(map(len, self._stops), default=0)
        self._held = ""

    def push(self, text: str) -> StopScan:
        """Take the next piece. After a match nothing more may come."""
        seen = self._held + text
        found = [(at + len(stop), at, stop) for stop in self._stops if (at := seen.find(stop)) >= 0]
        if found:
            _, at, stop = min(found)
            self._held = ""
            return StopScan(seen[:at], stop)
        keep = len(seen) - self._overlap(seen)
        self._held = seen[keep:]
        return StopScan(seen[:keep])

    def flush(self) -> str:
        """Return what was held back: the text ended, so it is no stop string."""
        held, self._held = self._held, ""
        return held

    def _overlap(self, seen: str) -> int:
        """Length of the longest suffix that begins a stop string."""
        for length in range(min(self._longest - 1, len(seen)), 0, -1):
            suffix = seen[-length:]
            if any(stop.startswith(suffix) for stop in self._stops):
                return length
        return 0
