"""Live acceptance records for whoever listens now. A listener that is slow loses records and is told how many."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager

from specsched.errors import Overloaded
from specsched.records import AcceptanceRecord

Matches = Callable[[AcceptanceRecord], bool]


class Listener:
    """One listener's bounded queue."""

    def __init__(self, matches: Matches, capacity: int, lost: Callable[[int], None]) -> None:
        self._matches = matches
        self._capacity = capacity
        self._lost = lost
        self._waiting: deque[AcceptanceRecord] = deque()
        self._came = asyncio.Event()
        self.dropped = 0
        """Records that it has lost so far."""

    def put(self, record: AcceptanceRecord) -> None:
        """Take a record that it wants, or lose it."""
        if not self._matches(record):
            return
        if len(self._waiting) >= self._capacity:
            self.dropped += 1
            self._lost(1)
            return
        self._waiting.append(record)
        self._came.set()

    async def records(self) -> AsyncGenerator[AcceptanceRecord, None]:
        """Yield what comes, for ever."""
        while True:
            await self._came.wait()
            self._came.clear()
            while self._waiting:
                yield self._waiting.popleft()


class Broadcast:
    """A sink (`Sink`) of as many listeners as there are. Belongs to one event loop."""

    def __init__(self, dropped: Callable[[int], None], *, capacity: int, max_listeners: int) -> None:
        """Begin with none.

        Args:
            dropped: Told how many records listeners lost.
            capacity: Records that may wait for a listener.
            max_listeners: At a time.
        """
        self._dropped = dropped
        self._capacity = capacity
        self._max_listeners = max_listeners
        self._listeners: set[Listener] = set()

    def put(self, item: AcceptanceRecord) -> None:
        """Hand a record to all."""
        for listener in self._listeners:
            listener.put(item)

    @contextmanager
    def listen(self, matches: Matches) -> Iterator[Listener]:
        """Listen while entered.

        Raises:
            Overloaded: too many do.
        """
        if len(self._listeners) >= self._max_listeners:
            raise Overloaded(f"{self._max_listeners} listeners are here already", retry_after_seconds=5.0)
        listener = Listener(matches, self._capacity, self._dropped)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
