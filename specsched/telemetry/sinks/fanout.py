"""One sink in front of several."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from specsched.telemetry.sinks.base import Sink

T = TypeVar("T")


class Fanout(Generic[T]):
    """Hands every item to all of its sinks."""

    def __init__(self, sinks: Sequence[Sink[T]]) -> None:
        self._sinks = tuple(sinks)

    def put(self, item: T) -> None:
        """Hand an item on."""
        for sink in self._sinks:
            sink.put(item)
