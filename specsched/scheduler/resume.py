"""A stream of chunks that survives its worker: what was delivered stands, the rest comes from another one."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import count

import structlog

from specsched.dispatch.base import Dispatcher
from specsched.errors import JobFailed, Unavailable, WorkerLost
from specsched.records import Chunk, FinishReason, Job
from specsched.scheduler.quarantine import Quarantine, Suspicion

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ResumeLimits:
    """How much a request may survive."""

    max_resumes: int = 3
    """Workers that it may lose."""
    wait_seconds: float = 60.0
    """Time in which a worker must be ready again."""


async def execute_resumed(
    dispatcher: Dispatcher,
    job: Job,
    limits: ResumeLimits,
    quarantine: Quarantine,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[Chunk, None]:
    """Run a job; when its worker is lost, resume from prompt and delivered tokens. Every token comes once.

    Raises:
        Unavailable: no worker is ready in time, or too many were lost.
        PoisonRequest: it is this request that workers die of.
    """
    started, delivered, suspicion = clock(), list(job.generated_ids), Suspicion()
    for losses in count(1):
        try:
            async with quarantine.trial(suspicion) as trial:
                if losses > 1 and not await _ready(dispatcher, limits.wait_seconds, _left(job, clock() - started)):
                    yield Chunk((), finish=FinishReason.TIME_LIMIT)
                    return
                rest = replace(job, generated_ids=tuple(delivered), time_limit_seconds=_left(job, clock() - started))
                async with aclosing(dispatcher.execute(rest)) as chunks:
                    async for chunk in chunks:
                        trial.passed()
                        delivered += chunk.token_ids
                        yield chunk
                        if chunk.finish is not None:
                            return
                raise WorkerLost("the stream ended without a finish reason")  # noqa: TRY301 - as any other
        except (WorkerLost, JobFailed) as error:
            _log(job, losses, len(delivered), error)
            quarantine.blame(job, suspicion, error)
            if losses > limits.max_resumes:
                raise Unavailable(f"{losses} workers were lost under this request", retry_after_seconds=1.0) from error


async def _ready(dispatcher: Dispatcher, seconds: float, left: float | None) -> bool:
    """Wait for a worker; returns False when the job's own time is over first."""
    try:
        async with asyncio.timeout(seconds if left is None else min(seconds, left)):
            await dispatcher.ready()
    except TimeoutError:
        if left is not None and left <= seconds:
            return False
        raise Unavailable("no worker is ready", retry_after_seconds=5.0) from None
    return True


def _left(job: Job, spent: float) -> float | None:
    return None if job.time_limit_seconds is None else max(0.0, job.time_limit_seconds - spent)


def _log(job: Job, losses: int, delivered: int, error: Exception) -> None:
    event = "job_failed" if isinstance(error, JobFailed) else "worker_lost"
    log.warning(event, request_id=job.request_id, losses=losses, delivered=delivered, error=str(error))
