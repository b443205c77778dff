"""Who calls: asked before a call's bytes are looked at, known to everything that the call does after."""

from contextvars import ContextVar
from typing import Protocol

from specsched.records import ANYBODY, Caller

Metadata = tuple[tuple[str, str | bytes], ...]

_caller: ContextVar[Caller] = ContextVar("caller", default=ANYBODY)


class Guard(Protocol):
    """Decides who may call what. Called on the event loop for every call: never blocks."""

    def identify(self, metadata: Metadata) -> Caller:
        """Return who calls, by the call's metadata; raises Unauthenticated when nobody that is known."""
        ...

    def authorise(self, caller: Caller, service: str) -> None:
        """Raise PermissionDenied when the caller may not use the service, which is given by its full name."""
        ...


class OpenDoor:
    """Asks nobody: for addresses that only this machine reaches."""

    def identify(self, _metadata: Metadata) -> Caller:
        """Anybody."""
        return ANYBODY

    def authorise(self, _caller: Caller, _service: str) -> None:
        """Anything."""


def current_caller() -> Caller:
    """Return who made the call under way; anybody outside of calls."""
    return _caller.get()


def set_current_caller(caller: Caller) -> None:
    """Say who made the call under way. Every call is a task of its own, and so is its context."""
    _caller.set(caller)
