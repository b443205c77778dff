"""The tracer's port, and the one that traces nothing but still hands the caller's trace on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from specsched.records import Request

Attributes = Mapping[str, str | bool | int | float | Sequence[str]]


class Span(Protocol):
    """Something that takes time. It ends with its context; an error that passes is noted by reason, never by text."""

    @property
    def trace_parent(self) -> str:
        """W3C traceparent of this span, for whoever works on its behalf; empty outside of any trace."""
        ...

    def child(self, name: str) -> AbstractContextManager["Span"]:
        """Begin a part of it."""
        ...

    def note(self, attributes: Attributes) -> None:
        """Add what is known now."""
        ...


class Tracer(Protocol):
    """Traces requests. Called on the event loop: never blocks, never raises."""

    def request(self, request: Request) -> AbstractContextManager[Span]:
        """Begin a request's span, as a child of its caller's."""
        ...


class NullSpan:
    """Keeps nothing; whoever works on its behalf works on the caller's."""

    def __init__(self, trace_parent: str = "") -> None:
        self._trace_parent = trace_parent

    @property
    def trace_parent(self) -> str:
        """The caller's."""
        return self._trace_parent

    @contextmanager
    def child(self, name: str) -> Iterator[Span]:  # noqa: ARG002 - the port's
        """Itself."""
        yield self

    def note(self, attributes: Attributes) -> None:
        """Nothing."""


class NullTracer:
    """Traces nothing."""

    @contextmanager
    def request(self, request: Request) -> Iterator[Span]:
        """A span that keeps nothing."""
        yield NullSpan(request.trace_parent)


def trace_id_of(trace_parent: str) -> str:
    """The trace's id, for logs; empty outside of any trace."""
    return trace_parent.split("-")[1] if trace_parent else ""
