"""One worker process after another, at one address: how each of them ended, and why."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

log = structlog.get_logger()

SETUP_EXIT_CODE = 2
"""A worker that exits with it says that it cannot be started: an unreadable pool, an address in use."""

REASONS = ("exited", "killed", "hung", "start_timeout", "setup", "spawn_failed")
"""Why workers end."""

_STOP_SECONDS = 5.0
_GRACE_SECONDS = 1.0
"""A worker that is gone from the network may be about to exit by itself."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended."""

    reason: str
    """One of `REASONS`."""
    detail: str
    served_seconds: float
    """Since it was ready; 0 when it never was."""


class Keeper:
    """Runs one worker's processes, one at a time."""

    def __init__(
        self, worker_id: str, command: Sequence[str], env: Mapping[str, str], start_seconds: float | None
    ) -> None:
        """Plan them.

        Args:
            worker_id: In logs.
            command: Runs a worker in the foreground, until standard input closes.
            env: Of the process.
            start_seconds: Time that it has to become ready; None where nobody tells when it is.
        """
        self.worker_id = worker_id
        self._command = command
        self._env = env
        self._start_seconds = start_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._ready_since: float | None = None
        self._executioner: asyncio.Task[None] | None = None
        self._why: tuple[str, str] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return None if self._process is None else self._process.pid

    def ready(self) -> None:
        """Note that the process serves."""
        self._ready_since = time.monotonic()
        self._spare()

    def unresponsive(self, why: str) -> None:
        """Kill the process, unless it exits by itself in a moment."""
        self._condemn("hung", why, _GRACE_SECONDS)

    async def run(self) -> Ending:
        """Run one process to its end; a cancelled run ends it."""
        self._ready_since = self._why = None
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command, env=self._env, stdin=asyncio.subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            return Ending("spawn_failed", error.strerror or str(error), 0.0)
        log.info("worker_started", worker=self.worker_id, pid=process.pid)
        if self._start_seconds is not None:
            detail = f"not ready after {self._start_seconds:g} s (workers.start_timeout_seconds)"
            self._condemn("start_timeout", detail, self._start_seconds)
        try:
            return self._ending(await process.wait())
        finally:
            self._spare()
            await _end(process)
            self._process = None

    def _condemn(self, reason: str, detail: str, grace_seconds: float) -> None:
        if self._process is not None:
            self._spare()
            self._executioner = asyncio.create_task(self._execute(self._process, reason, detail, grace_seconds))

    def _spare(self) -> None:
        if self._executioner is not None:
            self._executioner.cancel()
            self._executioner = None

    async def _execute(
        self, process: asyncio.subprocess.Process, reason: str, detail: str, grace_seconds: float
    ) -> None:
        """SIGKILL: a process that is stopped or stuck hears nothing else."""
        await asyncio.sleep(grace_seconds)
        if process.returncode is None:
            self._why = reason, detail
            log.error("worker_killed", worker=self.worker_id, pid=process.pid, reason=reason, detail=detail)
            process.kill()

    def _ending(self, code: int) -> Ending:
        served = 0.0 if self._ready_since is None else time.monotonic() - self._ready_since
        if self._why is not None:
            return Ending(*self._why, served)
        if code < 0:
            return Ending("killed", f"signal {-code}", served)
        return Ending("setup" if code == SETUP_EXIT_CODE else "exited", f"exit code {code}", served)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Make sure that a process is gone: SIGTERM, and SIGKILL if it does not listen."""
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    assert process.stdin is not None, "standard input is a pipe"
    process.stdin.close()
