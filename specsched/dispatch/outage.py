"""The time for which a worker's address answers nobody."""

import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()


class Outage:
    """Says once, with the cause, that nobody answers, if that lasts: a worker that starts is not there yet."""

    def __init__(self, address: str, patience_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with an address that nobody asked yet.

        Args:
            address: Of the worker, in the log.
            patience_seconds: Time that is waited before anything is said.
            clock: Monotonic seconds.
        """
        self._address = address
        self._patience_seconds = patience_seconds
        self._clock = clock
        self.end()

    def end(self) -> None:
        """Note an answer."""
        self._since: float | None = None
        self._said = False

    def goes_on(self, cause: str) -> None:
        """Note an attempt that failed."""
        now = self._clock()
        self._since = now if self._since is None else self._since
        if not self._said and now - self._since >= self._patience_seconds:
            self._said = True
            log.warning("worker_unreachable", address=self._address, cause=cause)
