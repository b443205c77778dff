"""Keeps worker processes alive: starts them, restarts those that die, ends them with the service."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import structlog

from specsched.errors import SetupError

log = structlog.get_logger()

Command = Callable[[str, str], Sequence[str]]
"""(worker id, address) → the command line that runs a worker there, in the foreground, until standard input closes."""

SETUP_EXIT_CODE = 2
"""A worker that exits with it cannot be started at all: an unreadable pool is no better the second time."""


_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between restarts."""

    first_seconds: float = 0.5
    longest_seconds: float = 30.0
    healthy_seconds: float = 10.0
    """A worker that lived this long starts again from the first pause."""

    def pause(self, restarts: int) -> float:
        """Return the pause before the n-th restart in a row, n from 1."""
        return min(self.longest_seconds, self.first_seconds * 2.0 ** (restarts - 1))


class Launcher:
    """The workers of this host. Use as an async context manager."""

    def __init__(
        self,
        count: int,
        command: Command,
        env: dict[str, str],
        backoff: Backoff | None = None,
        restarted: Callable[[], None] = lambda: None,
    ) -> None:
        """Plan workers.

        Args:
            count: How many; they are named worker-0, worker-1 and so on.
            command: Makes a worker's command line.
            env: Of their processes.
            backoff: Pauses between restarts.
            restarted: Called for every worker that died and will be started again.
        """
        self._command = command
        self._env = env
        self._backoff = backoff or Backoff()
        self._folder = ""
        self._ids = [f"worker-{i}" for i in range(count)]
        self._keepers: list[asyncio.Task[None]] = []
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._restarted = restarted
        self.restarts = 0

    @property
    def names(self) -> dict[str, str]:
        """The workers' ids by the addresses where they listen, once they are started."""
        return {self._address(worker_id): worker_id for worker_id in self._ids}

    @property
    def addresses(self) -> list[str]:
        """Where the workers listen, once they are started."""
        return list(self.names)

    @property
    def pids(self) -> list[int]:
        """Processes that run now."""
        return [process.pid for process in self._processes.values()]

    async def __aenter__(self) -> Self:
        """Start all workers; they are ready when their health says so."""
        self._folder = tempfile.mkdtemp(prefix="specsched-")  # short: a socket's path has 107 bytes
        self._keepers = [asyncio.create_task(self._keep(worker_id)) for worker_id in self._ids]
        return self

    async def __aexit__(self, *_: object) -> None:
        """End them all."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def failed(self) -> None:
        """Return never; raise SetupError when a worker can never be started."""
        await asyncio.gather(*(asyncio.shield(keeper) for keeper in self._keepers))

    async def _keep(self, worker_id: str) -> None:
        """Run a worker for ever."""
        quick_deaths = 0
        while True:
            started = time.monotonic()
            code = await self._run(worker_id)
            if code == SETUP_EXIT_CODE:
                raise SetupError(f"{worker_id} cannot start; the line above says why")
            quick_deaths = 1 if time.monotonic() - started > self._backoff.healthy_seconds else quick_deaths + 1
            pause = self._backoff.pause(quick_deaths)
            self.restarts += 1
            self._restarted()
            log.warning(
                "worker_died", worker=worker_id, exit_code=code, restart_in_seconds=pause, restarts=self.restarts
            )
            await asyncio.sleep(pause)

    async def _run(self, worker_id: str) -> int:
        address = self._address(worker_id)
        process = await asyncio.create_subprocess_exec(
            *self._command(worker_id, address), env=self._env, stdin=asyncio.subprocess.PIPE, start_new_session=True
        )
        self._processes[worker_id] = process
        log.info("worker_started", worker=worker_id, pid=process.pid)
        try:
            return await process.wait()
        finally:
            await _end(process)
            del self._processes[worker_id]

    def _address(self, worker_id: str) -> str:
        return f"unix:{self._folder}/{worker_id}.sock"


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
