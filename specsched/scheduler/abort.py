"""The way to end a request from outside, wherever it stands."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


class Abort(asyncio.Event):
    """Set once, by whoever wants one request to end."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: asyncio.Task[object] | None = None
        self._cut = False

    def set(self) -> None:
        """End the request: at once where it waits for its worker, else at its next step."""
        if self._waiting is not None and not self.is_set():
            self._cut = self._waiting.cancel()
        super().set()

    async def until(self, source: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        """Yield from a source until it ends or this is set.

        The wait is cut as a time limit cuts one; a limit of its own for every item would cost several times as much.
        """
        task = asyncio.current_task()
        assert task is not None, "streams are read by tasks"
        while not self.is_set():
            self._waiting = task
            try:
                item = await anext(source)
            except StopAsyncIteration:
                return
            except asyncio.CancelledError:
                if self._cut and task.cancelling() == 1:  # nobody else wanted it to end
                    return
                raise
            finally:
                self._waiting = None
                if self._cut:
                    task.uncancel()
            yield item
