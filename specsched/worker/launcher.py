"""Keeps worker processes alive: starts them, restarts those that die or hang, ends them with the service."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import structlog

from specsched.errors import SetupError
from specsched.worker.backoff import Backoff
from specsched.worker.keeper import Ending, Keeper
from specsched.worker.run_folder import RunFolder

log = structlog.get_logger()

Command = Callable[[str, str], Sequence[str]]
"""(worker id, address) → the command line that runs a worker there, in the foreground, until standard input closes."""

_CRASH_LOOP = 3
"""Quick deaths in a row that are told as what they are."""


class Launcher:
    """The workers of this host. Use as an async context manager."""

    def __init__(
        self,
        count: int,
        command: Command,
        env: Mapping[str, str],
        backoff: Backoff | None = None,
        restarted: Callable[[str], None] = lambda _reason: None,
        start_seconds: float | None = None,
    ) -> None:
        """Plan workers.

        Args:
            count: How many; they are named worker-0, worker-1 and so on.
            command: Makes a worker's command line.
            env: Of their processes.
            backoff: Pauses between restarts.
            restarted: Called with the reason (`keeper.REASONS`) for every worker that ended and is started again.
            start_seconds: Time that a worker has to become ready; None where `changed` is told to nobody.
        """
        self._count = count
        self._command = command
        self._env = env
        self._backoff = backoff or Backoff()
        self._restarted = restarted
        self._start_seconds = start_seconds
        self._folder = RunFolder()
        self._keepers: dict[str, Keeper] = {}
        """By address."""
        self._tasks: list[asyncio.Task[None]] = []
        self._proven = False
        """Whether a worker was ever ready: then the pool can be read, and what fails now may pass."""
        self.restarts = 0

    @property
    def names(self) -> dict[str, str]:
        """The workers' ids by the addresses where they listen, once they are started."""
        return {address: keeper.worker_id for address, keeper in self._keepers.items()}

    @property
    def addresses(self) -> list[str]:
        """Where the workers listen, once they are started."""
        return list(self._keepers)

    @property
    def pids(self) -> list[int]:
        """Processes that run now."""
        return [keeper.pid for keeper in self._keepers.values() if keeper.pid is not None]

    def changed(self, address: str, ready: bool) -> None:
        """Hear from whoever watches the workers that one is ready, or no more."""
        if ready:
            self._proven = True
            self._keepers[address].ready()

    def unresponsive(self, address: str, why: str) -> None:
        """Hear that a worker answers no more: if it still runs in a moment, it is killed and started again."""
        self._keepers[address].unresponsive(why)

    async def __aenter__(self) -> Self:
        """Start all workers; they are ready when their health says so."""
        folder = self._folder.__enter__()  # its path is short: a socket's has 107 bytes
        for worker_id in (f"worker-{i}" for i in range(self._count)):
            address = f"unix:{folder}/{worker_id}.sock"
            command = self._command(worker_id, address)
            self._keepers[address] = Keeper(worker_id, command, self._env, self._start_seconds)
        self._tasks = [asyncio.create_task(self._keep(keeper)) for keeper in self._keepers.values()]
        return self

    async def __aexit__(self, *_: object) -> None:
        """End them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._folder.__exit__()

    async def failed(self) -> None:
        """Return never; raise SetupError when a worker can never be started."""
        await asyncio.gather(*(asyncio.shield(task) for task in self._tasks))

    async def _keep(self, keeper: Keeper) -> None:
        """Run a worker for ever."""
        quick_deaths = 0
        while True:
            ending = await keeper.run()
            if not self._proven and ending.reason in ("setup", "spawn_failed"):
                raise SetupError(f"{keeper.worker_id} cannot start ({ending.detail}); the line above says why")
            quick_deaths = 1 if ending.served_seconds > self._backoff.healthy_seconds else quick_deaths + 1
            await asyncio.sleep(self._mourn(keeper.worker_id, ending, quick_deaths))

    def _mourn(self, worker_id: str, ending: Ending, quick_deaths: int) -> float:
        """Say what happened; returns the pause."""
        pause = self._backoff.pause(quick_deaths)
        self.restarts += 1
        self._restarted(ending.reason)
        (log.error if quick_deaths >= _CRASH_LOOP else log.warning)(
            "worker_crash_loop" if quick_deaths >= _CRASH_LOOP else "worker_died",
            worker=worker_id,
            reason=ending.reason,
            detail=ending.detail,
            served_seconds=round(ending.served_seconds, 3),
            quick_deaths=quick_deaths,
            restart_in_seconds=pause,
            restarts=self.restarts,
        )
        return pause
