"""Requests that workers die of: who is suspected, who is tried, and who is refused.

A worker that dies takes all its rows along, so most of those who lose one are innocent. Whoever lost its worker
before it said anything is a *suspect*, and its next try is a *trial*: one suspect at a time, until its first chunk.
Only a loss on trial, or of a worker that nobody else used, is held against it.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import structlog

from specsched.errors import JobFailed, PoisonRequest, WorkerLost
from specsched.records import Job, Plan

log = structlog.get_logger()

_KILLS = 2
"""Proven ones, after which a request is refused."""
_LONGEST_LIST = 1024


@dataclass(slots=True)
class Suspicion:
    """What is held against one request."""

    kills: int = 0
    suspect: bool = False
    tried: bool = False
    """Whether its last try was a trial."""
    progressed: bool = False
    """Whether that try said anything."""


class Trial:
    """One try of one request. Ends its turn at the first chunk."""

    def __init__(self, suspicion: Suspicion, turn: asyncio.Lock) -> None:
        self._suspicion = suspicion
        self._turn = turn
        self._holds = False

    async def begin(self) -> None:
        """Wait for its turn, where one is needed."""
        self._suspicion.tried, self._suspicion.progressed = self._suspicion.suspect, False
        if self._suspicion.tried:
            await self._turn.acquire()
            self._holds = True

    def passed(self) -> None:
        """Note a chunk: whatever happens next, the beginning was harmless."""
        if not self._suspicion.progressed:
            self._suspicion.kills, self._suspicion.suspect, self._suspicion.progressed = 0, False, True
            self.end()

    def end(self) -> None:
        """Let the next suspect try."""
        if self._holds:
            self._holds = False
            self._turn.release()


class Quarantine:
    """Judges requests by the workers that they lose; belongs to one event loop."""

    def __init__(self, seconds: float = 600.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Set up an empty one; the like of a poison request is refused for so many seconds."""
        self._seconds = seconds
        self._clock = clock
        self._turn = asyncio.Lock()
        self._until: dict[bytes, float] = {}

    def check(self, job: Job) -> None:
        """Raise PoisonRequest when the like of this job was refused a short while ago."""
        if not self._until:
            return
        left = self._until.get(_fingerprint(job), 0.0) - self._clock()
        if left > 0:
            raise PoisonRequest(f"workers failed of a request like this; it is refused for another {left:.0f} s")

    @asynccontextmanager
    async def trial(self, suspicion: Suspicion) -> AsyncGenerator[Trial]:
        """Cover one try."""
        trial = Trial(suspicion, self._turn)
        await trial.begin()
        try:
            yield trial
        finally:
            trial.end()

    def blame(self, job: Job, suspicion: Suspicion, error: WorkerLost | JobFailed) -> None:
        """Judge a request by how its try failed.

        Raises:
            PoisonRequest: it has proven to be the cause.
        """
        if suspicion.progressed:
            return
        suspicion.suspect = True
        suspicion.kills += isinstance(error, JobFailed) or error.alone or suspicion.tried
        if suspicion.kills >= _KILLS:
            self._refuse(job)
            raise PoisonRequest(f"{suspicion.kills} workers failed of this request before it said anything")

    def _refuse(self, job: Job) -> None:
        fingerprint, now = _fingerprint(job), self._clock()
        self._until = {each: until for each, until in self._until.items() if until > now}
        while len(self._until) >= _LONGEST_LIST:
            del self._until[min(self._until, key=self._until.__getitem__)]
        self._until[fingerprint] = now + self._seconds
        log.error(
            "request_quarantined", request_id=job.request_id, fingerprint=fingerprint.hex(), seconds=self._seconds
        )


def _fingerprint(job: Job) -> bytes:
    """Digest of prompt and parameters; not of who asks, of what was said already, or of how it is drafted."""
    seed = job.noise_seed if job.sampling.seed is not None else 0
    bare = replace(
        job, request_id="", tenant="", generated_ids=(), plan=Plan(), noise_seed=seed, time_limit_seconds=None
    )
    return hashlib.blake2b(repr(bare).encode(), digest_size=12).digest()
