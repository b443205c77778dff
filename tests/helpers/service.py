"""The whole service around scripted workers: real processes, real sockets, no models."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from specsched.classify.base import PROMPT_CLASSES
from specsched.classify.fake import FixedClassifier
from specsched.classify.feedback import ClassFeedback, NullFeedback
from specsched.client import Client
from specsched.dispatch.base import Dispatcher
from specsched.dispatch.grpc import GrpcDispatcher
from specsched.dispatch.patience import Patience
from specsched.engine.fake import scripted_token
from specsched.policy.base import Policy
from specsched.policy.fixed import FixedPolicy
from specsched.records import Job, Plan, Request, Sampling, Stopping, TokenPrompt
from specsched.scheduler.admission.admission import Admission
from specsched.scheduler.admission.limits import Limits
from specsched.scheduler.reading import Reader
from specsched.scheduler.resume import ResumeLimits
from specsched.scheduler.scheduler import Parts, Scheduler
from specsched.scheduler.snapshot import Snapshot
from specsched.server.process import run_server
from specsched.wire.serving import GrpcServer
from specsched.worker.backoff import Backoff
from specsched.worker.launcher import Launcher
from tests.helpers.text import byte_tokenizer

ROOT = Path(__file__).parents[2]


def snapshot_of(policy: Policy, **fields) -> Snapshot:
    """A snapshot of one policy."""
    return Snapshot(policy, lambda: policy, fields.pop("prompt_classes", PROMPT_CLASSES), **fields)


def parts_over(
    dispatcher: Dispatcher, *, policy: Policy | None = None, max_requests: int = 64, max_tokens: int = 100_000
) -> Parts:
    """Parts of a scheduler with the byte tokenizer and one fixed arm."""
    tokenizer = byte_tokenizer()
    return Parts(
        tokenizer=tokenizer,
        reader=Reader(tokenizer, FixedClassifier()),
        snapshot=snapshot_of(policy or FixedPolicy("draft", 2), config_sha="test"),
        admission=Admission(Limits(max_requests, max_tokens)),
        dispatcher=dispatcher,
        resume_limits=ResumeLimits(max_resumes=3, wait_seconds=20.0),
    )


def scheduler_over(
    dispatcher: Dispatcher, *, policy: Policy | None = None, max_requests: int = 64, max_tokens: int = 100_000
) -> Scheduler:
    """A scheduler of these parts."""
    return Scheduler(parts_over(dispatcher, policy=policy, max_requests=max_requests, max_tokens=max_tokens))


def scripted_command(round_seconds: float) -> Callable[[str, str], list[str]]:
    """Command line of a scripted worker."""
    common = [sys.executable, "-m", "tests.helpers.scripted_worker"]
    return lambda worker_id, address: [*common, worker_id, address, str(round_seconds)]


@dataclass
class Served:
    """A running service."""

    client: Client
    scheduler: Scheduler
    launcher: Launcher
    address: str
    ended: asyncio.Task[None] = field(repr=False)

    def terminate(self) -> None:
        """What SIGTERM does to the scheduler's process."""
        os.kill(os.getpid(), signal.SIGTERM)


@asynccontextmanager
async def scripted_service(
    folder: Path,
    *,
    workers: int = 1,
    round_seconds: float = 0.002,
    drain_seconds: float = 5.0,
    policy: Policy | None = None,
    max_requests: int = 64,
    patience: Patience | None = None,
    max_resumes: int = 3,
    beside: Callable[[Scheduler], Sequence[GrpcServer]] = lambda _scheduler: (),
    caller_keepalive_seconds: float = 20.0,
    feedback: ClassFeedback | None = None,
) -> AsyncIterator[Served]:
    """Start everything; it serves once entered."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    launcher = Launcher(workers, scripted_command(round_seconds), env, Backoff(0.05, 0.2))
    dispatcher = GrpcDispatcher(patience=patience)
    parts = parts_over(dispatcher, policy=policy, max_requests=max_requests)
    parts = replace(parts, feedback=feedback or NullFeedback())
    scheduler = Scheduler(replace(parts, resume_limits=ResumeLimits(max_resumes, wait_seconds=20.0)))
    server = GrpcServer(f"unix:{folder}/s.sock", max_message_bytes=2**20, keepalive_seconds=caller_keepalive_seconds)
    async with launcher, dispatcher.connect(launcher.addresses, (launcher.changed,), launcher.unresponsive):
        running = asyncio.create_task(
            run_server(
                server,
                scheduler,
                dispatcher,
                drain_seconds=drain_seconds,
                failed=launcher.failed,
                beside=beside(scheduler),
            )
        )
        async with Client(server.address) as client:
            try:
                await client.ready(20.0)
                while len(dispatcher.workers()) < workers:
                    await asyncio.sleep(0.02)
                served = Served(client, scheduler, launcher, server.address, running)
                yield served
            finally:
                if not running.done():
                    served_pid = os.getpid()
                    os.kill(served_pid, signal.SIGTERM)
                await asyncio.gather(running, return_exceptions=True)


def ask(name: str = "r", *, prompt: tuple[int, ...] = (20, 21, 22), max_tokens: int = 30, **fields) -> Request:
    """A greedy request by token ids."""
    return Request(
        name,
        TokenPrompt(prompt),
        sampling=fields.pop("sampling", Sampling(temperature=0.0)),
        stopping=fields.pop("stopping", Stopping(max_tokens=max_tokens)),
        **fields,
    )


def scripted_tokens(prompt: tuple[int, ...], count: int, vocab_size: int = 4096) -> tuple[int, ...]:
    """What the scripted target says to a prompt."""
    job = Job("any", prompt, Sampling(), Plan(), 0)
    return tuple(scripted_token(job, position, vocab_size) for position in range(count))
