"""A stream of chunks that survives its worker: what was delivered stands, the rest comes from another one."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog

from specsched.dispatch.base import Dispatcher
from specsched.errors import Unavailable, WorkerLost
from specsched.records import Chunk, Job

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ResumeLimits:
    """How much a request may survive."""

    max_resumes: int = 3
    """Workers that it may lose."""
    wait_seconds: float = 60.0
    """Time in which a worker must be ready again."""


async def execute_resumed(
    dispatcher: Dispatcher, job: Job, limits: ResumeLimits, clock: Callable[[], float] = time.monotonic
) -> AsyncGenerator[Chunk, None]:
    """Run a job; when its worker is lost, resume from prompt and delivered tokens. Every token comes once.

    Raises:
        Unavailable: no worker is ready in time, or too many were lost.
    """
    started, delivered = clock(), list(job.generated_ids)
    for losses in range(limits.max_resumes + 1):
        try:
            rest = replace(job, generated_ids=tuple(delivered), time_limit_seconds=_left(job, clock() - started))
            async with aclosing(_until_finished(dispatcher, rest)) as chunks:
                async for chunk in chunks:
                    delivered += chunk.token_ids
                    yield chunk
        except WorkerLost as error:
            log.warning(
                "worker_lost", request_id=job.request_id, losses=losses + 1, delivered=len(delivered), error=str(error)
            )
            await _ready(dispatcher, limits.wait_seconds)
        else:
            return
    raise Unavailable(f"{limits.max_resumes + 1} workers were lost under this request", retry_after_seconds=1.0)


async def _until_finished(dispatcher: Dispatcher, job: Job) -> AsyncGenerator[Chunk, None]:
    async with aclosing(dispatcher.execute(job)) as chunks:
        async for chunk in chunks:
            yield chunk
            if chunk.finish is not None:
                return
    raise WorkerLost("the stream ended without a finish reason")


async def _ready(dispatcher: Dispatcher, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await dispatcher.ready()
    except TimeoutError:
        raise Unavailable("no worker is ready", retry_after_seconds=5.0) from None


def _left(job: Job, spent: float) -> float | None:
    return None if job.time_limit_seconds is None else max(0.0, job.time_limit_seconds - spent)
