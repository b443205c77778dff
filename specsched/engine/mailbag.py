"""The way from the engine's thread to the event loop."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbag(Generic[T]):
    """Carries what rows say to the event loop, all at once that has come together: waking a loop costs both threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Go to a loop."""
        self._loop = loop
        self._items: deque[tuple[asyncio.Queue[T], T]] = deque()
        self._on_its_way = False

    def put(self, queue: asyncio.Queue[T], item: T) -> None:
        """Put an item into a queue of the loop's, soon, in order. From one other thread; never blocks."""
        self._items.append((queue, item))
        if not self._on_its_way and not self._loop.is_closed():  # else the process is ending, and nobody reads
            self._on_its_way = True
            self._loop.call_soon_threadsafe(self._hand_out)

    def _hand_out(self) -> None:
        self._on_its_way = False  # first: what comes from now on wakes the loop anew, should it be missed below
        while self._items:
            queue, item = self._items.popleft()
            queue.put_nowait(item)
