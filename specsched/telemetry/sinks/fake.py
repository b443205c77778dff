"""A sink that remembers, and a writer that fails on demand, for tests of what stands around them."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class FakeSink(Generic[T]):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.items: list[T] = []

    def put(self, item: T) -> None:
        """Keep it."""
        self.items.append(item)


class FakeWriter(Generic[T]):
    """Keeps what it is given; `obstacle` is called first and may wait or raise."""

    def __init__(self, obstacle: Callable[[], None] = lambda: None) -> None:
        self.obstacle = obstacle
        self.items: list[T] = []
        self.tended = 0
        self.closed = False

    def write(self, items: Sequence[T]) -> None:
        """Keep them."""
        self.obstacle()
        self.items += items

    def tend(self) -> None:
        """Count."""
        self.tended += 1

    def close(self) -> None:
        """Remember."""
        self.closed = True
