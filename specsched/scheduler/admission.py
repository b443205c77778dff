"""How much the service takes on: requests and tokens, with a time to come back when it is full."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from specsched.errors import Overloaded

_WINDOW_SECONDS = 10.0
_FIRST_GUESS_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 60.0


class Admission:
    """Counts what is admitted. A request holds its tokens until it is complete."""

    def __init__(
        self, max_requests: int, max_outstanding_tokens: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_requests = max_requests
        self._max_tokens = max_outstanding_tokens
        self._clock = clock
        self._released: deque[tuple[float, int]] = deque()
        self.requests = 0
        self.tokens = 0

    def limit(self, max_requests: int, max_outstanding_tokens: int) -> None:
        """Take other limits; what is admitted stays."""
        self._max_requests, self._max_tokens = max_requests, max_outstanding_tokens

    @contextmanager
    def room(self, tokens: int) -> Iterator[None]:
        """Hold room for a request of so many tokens, prompt and completion together.

        Raises:
            Overloaded: there is none; carries the time until there should be, at the rate of late.
        """
        if self.requests >= self._max_requests or (self.requests and self.tokens + tokens > self._max_tokens):
            wait = self._time_to_free(self.tokens + tokens - self._max_tokens)
            raise Overloaded(f"{self.requests} requests hold {self.tokens} tokens; no room now", wait)
        self.requests += 1
        self.tokens += tokens
        try:
            yield
        finally:
            self.requests -= 1
            self.tokens -= tokens
            self._released.append((self._clock(), tokens))

    def _time_to_free(self, tokens: int) -> float:
        """Estimate from what was released in the last seconds."""
        now = self._clock()
        while self._released and now - self._released[0][0] > _WINDOW_SECONDS:
            self._released.popleft()
        released = sum(count for _, count in self._released)
        if not released:
            return _FIRST_GUESS_SECONDS
        rate = released / max(now - self._released[0][0], 0.1)
        return min(_LONGEST_WAIT_SECONDS, max(0.05, max(tokens, released / len(self._released)) / rate))
