"""What each caller may take: requests at once, and calls and tokens a minute."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from specsched.errors import QuotaExceeded
from specsched.records import Caller, Quota

_MINUTE = 60.0
_RETRY_SECONDS = 1.0
"""When a request of the same caller ends is anybody's guess."""


@dataclass(slots=True)
class Bucket:
    """Fills by a minute's allowance a minute, up to one; starts full."""

    level: float
    seen: float

    def wait(self, amount: float, per_minute: float, now: float) -> float:
        """Return the seconds until so much, or a full bucket if it never holds so much, is there."""
        self.level = min(per_minute, self.level + (now - self.seen) * per_minute / _MINUTE)
        self.seen = now
        return max(0.0, (min(amount, per_minute) - self.level) * _MINUTE / per_minute)


@dataclass(slots=True)
class Use:
    """What one caller takes now."""

    requests: int = 0
    buckets: dict[str, Bucket] = field(default_factory=dict)


class Quotas:
    """Counts by the caller's name. As many as there are credentials with a quota."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._uses: dict[str, Use] = {}

    def enter(self, caller: Caller) -> None:
        """Count a request that begins.

        Raises:
            QuotaExceeded: it would be too many; nothing is counted.
        """
        if caller.quota == Quota():
            return
        use = self._uses.setdefault(caller.name, Use())
        limit = caller.quota.max_requests
        if limit is not None and use.requests >= limit:
            raise QuotaExceeded(f"{use.requests} requests are under way, as many as the quota allows", _RETRY_SECONDS)
        self._take(use, "calls", 1, caller.quota.requests_per_minute)
        use.requests += 1

    def charge(self, caller: Caller, tokens: int) -> None:
        """Charge what a request may come to; raises QuotaExceeded, and charges nothing then."""
        if caller.quota != Quota():
            self._take(self._uses[caller.name], "tokens", tokens, caller.quota.tokens_per_minute)

    def refund(self, caller: Caller, tokens: int) -> None:
        """Give back what it did not use."""
        if tokens and caller.quota.tokens_per_minute is not None:
            self._uses[caller.name].buckets["tokens"].level += tokens  # the next look cuts it to a minute's allowance

    def leave(self, caller: Caller) -> None:
        """Count a request that has ended."""
        if caller.quota != Quota():
            self._uses[caller.name].requests -= 1

    def _take(self, use: Use, what: str, amount: int, per_minute: float | None) -> None:
        if per_minute is None:
            return
        now = self._clock()
        bucket = use.buckets.setdefault(what, Bucket(per_minute, now))
        seconds = bucket.wait(amount, per_minute, now)
        if seconds > 0:
            raise QuotaExceeded(f"the quota of {per_minute:g} {what} a minute is used up", seconds)
        bucket.level -= amount
