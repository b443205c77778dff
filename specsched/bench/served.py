"""A service in a process of its own, for demos and measurements."""

import asyncio
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

from specsched.client import Client
from specsched.errors import SetupError

T = TypeVar("T")

_STOP_SECONDS = 20.0
_KEPT_LINES = 50
_OWN = {"SPECSCHED__ADMIN__ADDRESS": "127.0.0.1:0"}


class ServedProcess:
    """`specsched serve` on a free port. Use as an async context manager; it is ready once entered."""

    def __init__(
        self,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        ready_seconds: float = 180.0,
    ) -> None:
        """Describe the service.

        Args:
            arguments: Further options of `serve`.
            environment: Further variables, `SPECSCHED__SECTION__FIELD` for example.
            ready_seconds: Time that it has to load its models.
        """
        self._command = [sys.executable, "-m", "specsched", "serve", "--listen", "127.0.0.1:0", *arguments]
        self._environment = {**_OWN, **os.environ, "SPECSCHED__LOG__FORMAT": "json", **(environment or {})}
        self._ready_seconds = ready_seconds
        self._last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.address = ""
        self.admin_address = ""

    async def __aenter__(self) -> Self:
        """Start it and wait until it serves.

        Raises:
            SetupError: it ended, or did not serve in time; with its last words.
        """
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environment, stderr=asyncio.subprocess.PIPE
        )
        self._reading = asyncio.create_task(self._read())
        try:
            async with asyncio.timeout(self._ready_seconds):
                await self._until_ready()
        except BaseException as error:
            await self._stop()
            if isinstance(error, TimeoutError):
                raise SetupError(f"the service was not ready after {self._ready_seconds:g} s") from None
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let it drain, then end it."""
        await self._stop()

    @property
    def pid(self) -> int:
        """The scheduler's process."""
        return self._process.pid

    @property
    def last_lines(self) -> tuple[str, ...]:
        """Of its log, a few."""
        return tuple(self._last_lines)

    async def wait(self) -> int:
        """Wait until it has ended; returns its exit code."""
        return await self._process.wait()

    async def _until_ready(self) -> None:
        self.address = await self._unless_it_ends(self._listening)
        async with Client(self.address) as client:
            await self._unless_it_ends(asyncio.create_task(client.ready(self._ready_seconds)))

    async def _unless_it_ends(self, wanted: "asyncio.Future[T]") -> T:
        ended: asyncio.Future[Any] = self._reading
        await asyncio.wait([wanted, ended], return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done():
            wanted.cancel()
            raise SetupError(f"the service ended: {' '.join(self._last_lines).strip()}")
        return wanted.result()

    async def _read(self) -> None:
        """Take in the log, so that it never blocks the service."""
        assert self._process.stderr is not None, "standard error is a pipe"
        async for line in self._process.stderr:
            text = line.decode(errors="replace")
            self._last_lines.append(text)
            event = _event(text)
            if event.get("event") == "operators_listening":
                self.admin_address = event["address"]
            elif event.get("event") == "listening" and not self._listening.done():
                self._listening.set_result(event["address"])

    async def _stop(self) -> None:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
