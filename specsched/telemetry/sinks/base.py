"""The sink's ports: what the event loop hands a record to, and what writes records somewhere."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

T_contra = TypeVar("T_contra", contravariant=True)


class Sink(Protocol[T_contra]):
    """Takes items as they come. Called on the event loop, every round: never blocks, never raises."""

    def put(self, item: T_contra) -> None:
        """Take an item, or lose it and count the loss."""
        ...


class Writer(Protocol[T_contra]):
    """Writes items somewhere. Called on one thread that is its own; may block, may raise, is called again."""

    def write(self, items: Sequence[T_contra]) -> None:
        """Write items so that they outlive a crash of this process. Raises when it cannot; the items are lost."""
        ...

    def tend(self) -> None:
        """Do what time asks for: called every so often, items or not."""
        ...

    def close(self) -> None:
        """Finish what is open."""
        ...


class NullSink:
    """Takes everything and keeps nothing."""

    def put(self, item: object) -> None:
        """Nothing."""
