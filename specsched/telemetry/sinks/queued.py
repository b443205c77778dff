"""From the event loop to a writer on a thread of its own, by way of a bounded queue: full means lost, and counted."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Self, TypeVar

import structlog

from specsched.telemetry.sinks.base import Writer

T = TypeVar("T")

log = structlog.get_logger()

CAPACITY = 16_384
_CLOSE_SECONDS = 5.0
"""Time that a writer has to write the rest, when everything ends."""


class QueuedSink(Generic[T]):
    """A sink over a writer. Use as an async context manager: the thread runs within.

    The thread wakes every so often and takes all that waits: a wake-up per item would cost the event loop more than
    the item. A writer that hangs or fails loses items and nothing else.
    """

    def __init__(
        self,
        name: str,
        writer: Writer[T],
        dropped: Callable[[int], None],
        *,
        flush_seconds: float = 1.0,
        capacity: int = CAPACITY,
    ) -> None:
        """Make an empty queue.

        Args:
            name: In logs.
            writer: Called on the sink's thread alone.
            dropped: Told how many items were lost; from any thread.
            flush_seconds: Longest time that an item waits to be written.
            capacity: Items that may wait.
        """
        self._name = name
        self._writer = writer
        self._dropped = dropped
        self._flush_seconds = flush_seconds
        self._capacity = capacity
        self._waiting: deque[T] = deque()
        self._wake = threading.Event()
        self._in_hand = 0
        self._ending = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}", daemon=True)

    def put(self, item: T) -> None:
        """Take an item; lose it when the queue is full."""
        waiting = len(self._waiting)
        if waiting >= self._capacity:
            self._dropped(1)
            return
        self._waiting.append(item)
        if waiting == self._capacity // 2:
            self._wake.set()

    async def __aenter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write the rest; a writer that takes too long is left behind, and what it left is lost."""
        self._ending = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)
        if self._thread.is_alive():
            lost = self._in_hand + len(self._waiting)
            log.warning("sink_left_behind", sink=self._name, lost=lost)
            self._dropped(lost)

    # ------------------------------------------------------------------------------------------- on the thread

    def _run(self) -> None:
        while not self._ending:
            self._wake.wait(self._flush_seconds)
            self._wake.clear()
            self._write()
        self._write()
        self._guarded(self._writer.close, 0)

    def _write(self) -> None:
        items = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self._in_hand = len(items)
        if items:
            self._guarded(lambda: self._writer.write(items), len(items))
        self._in_hand = 0
        self._guarded(self._writer.tend, 0)

    def _guarded(self, act: Callable[[], None], at_stake: int) -> None:
        """Disk full, collector gone, folder deleted: said once, counted always, and tried again."""
        try:
            act()
        except Exception as error:  # noqa: BLE001 - whatever it is, the service goes on
            self._dropped(at_stake)
            if not self._failing:
                log.warning("sink_failed", sink=self._name, error=str(error))
            self._failing = True
        else:
            if at_stake and self._failing:
                log.info("sink_works_again", sink=self._name)
                self._failing = False
