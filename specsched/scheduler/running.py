"""The requests that run: ids are theirs alone, and each can be aborted."""

import asyncio
import contextlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from specsched.errors import DuplicateRequest, Unavailable, UnknownRequest
from specsched.scheduler.abort import Abort

_ABORT_SECONDS = 1.0
"""Time that aborted requests have to say so, when everything ends."""


class Running:
    """Registry of running requests, by tenant and id: no tenant can take another one's ids, or end its requests."""

    def __init__(self) -> None:
        self._aborts: dict[tuple[str, str], Abort] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._aborts)

    @contextmanager
    def enter(self, tenant: str, request_id: str) -> Iterator[Abort]:
        """Register a request; yields what is set when it is aborted.

        Raises:
            DuplicateRequest: the id runs already.
            Unavailable: the service is draining.
        """
        if self._closed:
            raise Unavailable("the service is draining", retry_after_seconds=5.0)
        key = (tenant, request_id)
        if key in self._aborts:
            raise DuplicateRequest(f"request {request_id} is running already")
        self._aborts[key] = Abort()
        self._empty.clear()
        try:
            yield self._aborts[key]
        finally:
            del self._aborts[key]
            if not self._aborts:
                self._empty.set()

    def abort(self, request_id: str, tenants: Collection[str] | None = None) -> None:
        """End a running request.

        Args:
            request_id: Its id.
            tenants: Whose requests it may be; None: anybody's.

        Raises:
            UnknownRequest: none of them runs it.
        """
        found = [
            event
            for (tenant, running), event in self._aborts.items()
            if running == request_id and (tenants is None or tenant in tenants)
        ]
        if not found:
            raise UnknownRequest(f"no request {request_id} is running")
        for event in found:
            event.set()

    async def drain(self, seconds: float) -> None:
        """Take no more; let those that run end, and abort what is left when the time is over."""
        self._closed = True
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            for abort in self._aborts.values():
                abort.set()
            with contextlib.suppress(TimeoutError):  # a caller that stopped reading hears nothing: its call is cut
                await asyncio.wait_for(self._empty.wait(), _ABORT_SECONDS)
