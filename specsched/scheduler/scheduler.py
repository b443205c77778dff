"""The sentence: classify → decide → admit → dispatch → observe."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog

from specsched.dispatch.base import Dispatcher
from specsched.errors import Unavailable
from specsched.policy.base import DecisionContext, Observation, Policy
from specsched.records import (
    Completion,
    Decision,
    FinishReason,
    Job,
    Request,
    RoundRecord,
    TextChunk,
    Usage,
    WorkerInfo,
    WorkerLoad,
)
from specsched.scheduler.account import Account
from specsched.scheduler.admission import Admission
from specsched.scheduler.checks import check_request
from specsched.scheduler.reading import Reader, Reading
from specsched.scheduler.resume import ResumeLimits, execute_resumed
from specsched.scheduler.running import Running, until
from specsched.text.stream import TextStream
from specsched.text.tokenizer import Tokenizer

log = structlog.get_logger()

_SEED_BITS = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Parts:
    """What a scheduler is made of. Each is a port or owns one thing."""

    tokenizer: Tokenizer
    reader: Reader
    policy: Policy
    admission: Admission
    dispatcher: Dispatcher
    resume_limits: ResumeLimits = field(default_factory=ResumeLimits)
    config_sha: str = ""
    clock: Callable[[], float] = time.monotonic
    draw_seed: Callable[[], int] = lambda: secrets.randbits(64)


class Scheduler:
    """Takes requests through the sentence. Belongs to one event loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._running = Running()

    @property
    def prompt_classes(self) -> tuple[str, ...]:
        """Classes that callers may name."""
        return self._parts.reader.prompt_classes

    @property
    def running(self) -> int:
        """Requests admitted and not yet complete."""
        return len(self._running)

    def worker(self) -> WorkerInfo:
        """Return the worker that would serve next.

        Raises:
            Unavailable: none is ready.
        """
        return self._next_worker()[0]

    def loads(self) -> list[WorkerLoad]:
        """How busy each worker is."""
        return list(self._parts.dispatcher.loads())

    def abort(self, request_id: str) -> None:
        """End a running request; raises UnknownRequest."""
        self._running.abort(request_id)

    async def drain(self, seconds: float) -> None:
        """Refuse new requests, let running ones end, abort what is left after `seconds`."""
        await self._running.drain(seconds)

    async def decide(self, request: Request) -> Decision:
        """Classify and choose without generating.

        Raises:
            InvalidRequest, Unavailable
        """
        return self._decide(request, await self._read(request), explain=True)

    async def generate(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
        """Yield the deltas of a completion, one per round, then its account.

        Raises:
            InvalidRequest, DuplicateRequest, Overloaded, Unavailable
        """
        arrived = self._parts.clock()
        with self._running.enter(request.request_id) as aborted:
            reading = await self._read(request)
            decision = self._decide(request, reading)
            with self._parts.admission.room(len(reading.token_ids) + request.stopping.max_tokens):
                if request.output.echo:
                    yield TextChunk(reading.text, ())
                account = Account(arrived, self._parts.clock())
                async with aclosing(self._complete(request, reading, decision, account, aborted)) as answers:
                    async for answer in answers:
                        yield answer

    async def _complete(
        self, request: Request, reading: Reading, decision: Decision, account: Account, aborted: asyncio.Event
    ) -> AsyncGenerator[TextChunk | Completion, None]:
        """Dispatch, deliver and observe every round, then sum up."""
        stream = TextStream(self._parts.tokenizer, request.stopping.stop, request.stopping.min_tokens)
        finish = FinishReason.ABORTED
        matched: str | int | None = None
        job = self._job(request, reading, decision)
        chunks = execute_resumed(self._parts.dispatcher, job, self._parts.resume_limits, self._parts.clock)
        async with aclosing(chunks), aclosing(until(aborted, chunks)) as live:
            async for chunk in live:
                delta = stream.push(chunk)
                account.add(self._parts.clock(), delta.round)
                self._observe(request, decision, delta.round)
                yield delta
                if stream.matched_stop is not None:
                    finish, matched = FinishReason.STOP, stream.matched_stop
                    break
                if chunk.finish is not None:
                    finish, matched = chunk.finish, chunk.matched_token_id
                    account.cached_tokens = chunk.cached_tokens
        completion = Completion(
            text=stream.text,
            token_ids=tuple(stream.token_ids),
            finish_reason=finish,
            usage=Usage(len(reading.token_ids), len(stream.token_ids), account.cached_tokens),
            decision=decision,
            speculation=account.metrics(),
            timings=account.timings(len(stream.token_ids)),
            matched_stop=matched,
        )
        _log(request, completion)
        yield completion

    async def _read(self, request: Request) -> Reading:
        reading = await asyncio.to_thread(self._parts.reader.read, request)
        check_request(request, reading.token_ids, self.worker())
        return reading

    def _decide(self, request: Request, reading: Reading, *, explain: bool = False) -> Decision:
        worker, load = self._next_worker()
        context = DecisionContext(
            class_probabilities=reading.class_probabilities,
            sampled=not request.sampling.greedy,
            coupled=request.sampling.coupled,
            drafts=tuple(draft.id for draft in worker.drafts if draft.state == "active"),
            costs=worker.costs,
            hint=request.speculation,
            running_rows=load.running_rows,
            prompt_tokens=len(reading.token_ids),
            expected_tokens=request.stopping.max_tokens,
            tenant=request.tenant,
            explain=explain,
        )
        return Decision(reading.class_probabilities, self._parts.policy.decide(context), self._parts.config_sha)

    def _next_worker(self) -> tuple[WorkerInfo, WorkerLoad]:
        loads = {load.worker_id: load for load in self._parts.dispatcher.loads()}
        workers = [(worker, loads[worker.worker_id]) for worker in self._parts.dispatcher.workers()]
        if not workers:
            raise Unavailable("no worker is ready", retry_after_seconds=1.0)
        return min(workers, key=lambda pair: pair[1].outstanding_tokens)

    def _job(self, request: Request, reading: Reading, decision: Decision) -> Job:
        stopping, sampling = request.stopping, request.sampling
        seed = self._parts.draw_seed() if sampling.seed is None else sampling.seed
        return Job(
            request_id=request.request_id,
            prompt_ids=reading.token_ids,
            sampling=sampling,
            plan=decision.plan,
            noise_seed=seed & _SEED_BITS,
            max_tokens=stopping.max_tokens,
            min_tokens=stopping.min_tokens,
            stop_token_ids=stopping.stop_token_ids,
            ignore_eos=stopping.ignore_eos,
            logprobs=request.output.logprobs,
            time_limit_seconds=stopping.max_time_seconds,
            tenant=request.tenant,
        )

    def _observe(self, request: Request, decision: Decision, record: RoundRecord | None) -> None:
        if record is not None:
            self._parts.policy.observe(
                Observation(
                    request_id=request.request_id,
                    class_probabilities=decision.class_probabilities,
                    sampled=not request.sampling.greedy,
                    coupled=request.sampling.coupled,
                    round=record,
                    tenant=request.tenant,
                )
            )


def _log(request: Request, completion: Completion) -> None:
    """Write the canonical line of a request. Never its text."""
    log.info(
        "request_complete",
        request_id=request.request_id,
        prompt_class=completion.decision.prompt_class,
        draft_model=completion.decision.plan.draft_model,
        gamma=completion.decision.plan.gamma,
        finish_reason=completion.finish_reason.value,
        prompt_tokens=completion.usage.prompt_tokens,
        completion_tokens=completion.usage.completion_tokens,
        acceptance_length=round(completion.speculation.mean_acceptance_length, 3),
        queue_seconds=round(completion.timings.queue_seconds, 4),
        time_to_first_token_seconds=round(completion.timings.time_to_first_token_seconds, 4),
        tokens_per_second=round(completion.timings.tokens_per_second, 2),
    )
