"""What one row says, on its way from the engine's thread to the event loop. Bounded: a slow reader pauses its row."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import zip_longest

from specsched.engine.mailbag import Mailbag
from specsched.errors import JobFailed
from specsched.records import Chunk

CAPACITY = 32
"""Chunks that may wait for their reader before the row is paused."""


class Outbox:
    """Filled by the engine's thread, emptied by the event loop."""

    def __init__(
        self,
        bag: Mailbag[Chunk | Exception],
        pause: Callable[[], None],
        resume: Callable[[], None],
        capacity: int = CAPACITY,
    ) -> None:
        """Make an empty outbox on the running loop.

        Args:
            bag: Goes to the running loop.
            pause: Called on the engine's thread when it is full; must not block.
            resume: Called on the event loop when it is half empty again; must not block.
            capacity: Chunks.
        """
        self._pause = pause
        self._resume = resume
        self._capacity = capacity
        self._bag = bag
        self._queue: asyncio.Queue[Chunk | Exception] = asyncio.Queue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._paused = False

    def put(self, item: Chunk | Exception) -> None:
        """Add a chunk, or the error that ends the stream. From the engine's thread; never blocks."""
        with self._lock:
            self._waiting += 1
            pause = self._waiting >= self._capacity and not self._paused
            self._paused = self._paused or pause
            if pause:  # under the lock, as below: swapped, the two would leave the row paused for ever
                self._pause()
        self._bag.put(self._queue, item)

    async def chunks(self) -> AsyncIterator[Chunk]:
        """Yield chunks up to the one that carries a finish reason; raise the error that comes instead.

        A chunk says whether the next one is here already.

        Raises:
            JobFailed: the engine gave the row up.
            Exception: what the engine died of.
        """
        while True:
            items = [await self._queue.get()]
            while not self._queue.empty():
                items.append(self._queue.get_nowait())
            for item, after in zip_longest(items, items[1:]):
                self._taken()
                if isinstance(item, Exception):
                    raise item
                if item.failure:
                    raise JobFailed(item.failure)
                yield replace(item, more=True) if isinstance(after, Chunk) and not after.failure else item
                if item.finish is not None:
                    return

    def _taken(self) -> None:
        with self._lock:
            self._waiting -= 1
            resume = self._paused and self._waiting <= self._capacity // 2
            self._paused = self._paused and not resume
            if resume:
                self._resume()
