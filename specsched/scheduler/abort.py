"""The way to end a request from outside, wherever it stands."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


class Abort(asyncio.Event):
    """Set once, by whoever wants one request to end."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: asyncio.Timeout | None = None

    def set(self) -> None:
        """End the request: at once where it waits for its worker, else at its next step."""
        super().set()
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def until(self, source: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        """Yield from a source until it ends or this is set.

        A time limit that is moved to now interrupts the wait; a task per item would do so at ten times the cost.
        """
        while not self.is_set():
            waiting = asyncio.timeout(None)
            try:
                async with waiting:
                    self._waiting = waiting
                    item = await anext(source)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if not waiting.expired():  # somebody else's time was over
                    raise
                return
            finally:
                self._waiting = None
            yield item
