"""The sentence: classify → decide → admit → dispatch → observe."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass, field, replace

from specsched.dispatch.base import Dispatcher
from specsched.errors import SpecschedError, Unavailable
from specsched.policy.base import DecisionContext
from specsched.policy.cost import CostModel
from specsched.policy.memory import Cell, NullStore, Store
from specsched.records import (
    AcceptanceRecord,
    CapturedCompletion,
    Completion,
    Decision,
    FinishReason,
    Request,
    TextChunk,
    Usage,
    WorkerInfo,
    WorkerLoad,
)
from specsched.scheduler.account import Account
from specsched.scheduler.admission import Admission
from specsched.scheduler.canonical import write_canonical_line
from specsched.scheduler.case import Case
from specsched.scheduler.checks import check_request
from specsched.scheduler.logbook import Logbook
from specsched.scheduler.observing import Observer
from specsched.scheduler.reading import Reader, Reading
from specsched.scheduler.remembering import Memory
from specsched.scheduler.resume import ResumeLimits, execute_resumed
from specsched.scheduler.running import Running, until
from specsched.scheduler.snapshot import Snapshot
from specsched.telemetry.base import Meter, NullMeter
from specsched.telemetry.sinks.base import NullSink, Sink
from specsched.telemetry.tracing.base import NullTracer, Span, Tracer
from specsched.telemetry.tracing.conventions import completion_attributes, decision_attributes
from specsched.text.stream import TextStream
from specsched.text.tokenizer import Tokenizer

_SEED_BITS = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Parts:
    """What a scheduler is made of. Each is a port or owns one thing."""

    tokenizer: Tokenizer
    reader: Reader
    snapshot: Snapshot
    """In force until another one is adopted."""
    admission: Admission
    dispatcher: Dispatcher
    resume_limits: ResumeLimits = field(default_factory=ResumeLimits)
    meter: Meter = field(default_factory=NullMeter)
    sink: Sink[AcceptanceRecord] = field(default_factory=NullSink)
    capture: Sink[CapturedCompletion] = field(default_factory=NullSink)
    tracer: Tracer = field(default_factory=NullTracer)
    store: Store = field(default_factory=NullStore)
    clock: Callable[[], float] = time.monotonic
    draw_seed: Callable[[], int] = lambda: secrets.randbits(64)


class Scheduler:
    """Takes requests through the sentence. Belongs to one event loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._running = Running()
        self._logbook = Logbook(parts.sink)
        self._snapshot = parts.snapshot
        self._observer = Observer(parts.snapshot.policy, parts.meter, self._logbook, parts.capture)
        self._memory = Memory(parts.snapshot.policy, parts.store)

    @property
    def prompt_classes(self) -> tuple[str, ...]:
        """Classes that callers may name."""
        return self._snapshot.prompt_classes

    @property
    def known_classes(self) -> tuple[str, ...]:
        """Classes that the classifier tells apart."""
        return self._parts.reader.prompt_classes

    @property
    def snapshot(self) -> Snapshot:
        """What requests that arrive now are decided under."""
        return self._snapshot

    @property
    def learnt(self) -> tuple[Cell, ...]:
        """All that the policies have learnt."""
        return self._memory.cells

    def adopt(self, snapshot: Snapshot, learnt: Sequence[Cell] | None = None) -> None:
        """Decide under another snapshot from now on. Requests that run keep theirs, and what they do is learnt from.

        Args:
            snapshot: Takes the place of the one in force.
            learnt: What its policy knows; None: all that is known. Nothing changes for a policy that stays.
        """
        if snapshot.policy is not self._snapshot.policy:
            self._memory.hand_over(snapshot.policy, self.learnt if learnt is None else learnt)
            self._observer.follow(snapshot.policy)
        self._snapshot = snapshot

    def limit(self, max_requests: int, max_outstanding_tokens: int) -> None:
        """Admit by other limits from now on."""
        self._parts.admission.limit(max_requests, max_outstanding_tokens)

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

    async def keep_learned(self) -> None:
        """Save what the policy learns, for ever."""
        await self._memory.keep()

    async def save_learned(self) -> None:
        """Save it once more, at the end."""
        await self._memory.save()

    def measure(self) -> None:
        """Tell the meter what stands rather than happens; called every so often."""
        loads = self._parts.dispatcher.loads()
        self._parts.meter.queued(sum(load.waiting_rows for load in loads))
        self._parts.meter.loads(loads)

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
        with self._parts.tracer.request(request) as span:
            return (await self._decide(request, span, explain=True)).decision

    async def generate(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
        """Yield the deltas of a completion, one per round, then its account.

        Raises:
            InvalidRequest, DuplicateRequest, Overloaded, Unavailable
        """
        arrived = self._parts.clock()
        with ExitStack() as held:
            span = held.enter_context(self._parts.tracer.request(request))
            with self._rejections():
                aborted = held.enter_context(self._running.enter(request.request_id))
                case = await self._decide(request, span)
                with span.child("queue"):
                    held.enter_context(self._parts.admission.room(case.tokens))
            if request.output.echo:
                yield TextChunk(case.reading.text, ())
            account = Account(arrived, self._parts.clock())
            self._parts.meter.dispatched(account.dispatched - arrived)
            async with aclosing(self._complete(case, account, aborted, span)) as answers:
                async for answer in answers:
                    yield answer

    async def _complete(
        self, case: Case, account: Account, aborted: asyncio.Event, span: Span
    ) -> AsyncGenerator[TextChunk | Completion, None]:
        """Dispatch, deliver and observe every round, then sum up."""
        stopping = case.request.stopping
        stream = TextStream(self._parts.tokenizer, stopping.stop, stopping.min_tokens)
        finish = FinishReason.ABORTED
        matched: str | int | None = None
        with span.child("dispatch") as dispatch:
            job = case.job(self._noise_seed(case.request), dispatch.trace_parent)
            chunks = execute_resumed(self._parts.dispatcher, job, self._parts.resume_limits, self._parts.clock)
            async with aclosing(chunks), aclosing(until(aborted, chunks)) as live:
                async for chunk in live:
                    delta = stream.push(chunk)
                    self._observer.observe(case, account, delta, chunk.worker_id, self._parts.clock())
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
            usage=Usage(len(case.reading.token_ids), len(stream.token_ids), account.cached_tokens),
            decision=case.decision,
            speculation=account.metrics(),
            timings=account.timings(len(stream.token_ids)),
            matched_stop=matched,
        )
        self._observer.complete(case, account, completion)
        span.note(completion_attributes(case.request.request_id, completion))
        write_canonical_line(case, account, completion, span.trace_parent)
        yield completion

    @contextmanager
    def _rejections(self) -> Iterator[None]:
        """Count what is turned away."""
        try:
            yield
        except SpecschedError as error:
            self._parts.meter.rejected(error.reason)
            raise

    async def _read(self, request: Request, span: Span) -> Reading:
        with span.child("classify"):
            reading = await asyncio.to_thread(self._parts.reader.read, request)
        if reading.classify_seconds is not None:
            self._parts.meter.classified(reading.classify_seconds)
        check_request(request, reading.token_ids, self.worker())
        return reading

    async def _decide(self, request: Request, span: Span, *, explain: bool = False) -> Case:
        """Classify, then decide."""
        reading = await self._read(request, span)
        snapshot = self._snapshot
        worker, load = self._next_worker()
        request = _within(request, len(reading.token_ids), worker)
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
        started = self._parts.clock()
        with span.child("decide"):
            plan = snapshot.policy.decide(context)
        decision = Decision(reading.class_probabilities, plan, snapshot.config_sha)
        self._parts.meter.decided(decision, self._parts.clock() - started)
        span.note(decision_attributes(decision))
        logged = self._logbook.decided(request.request_id, context, decision, worker)
        costs = CostModel(worker.costs) if worker.costs.verify else None
        return Case(request, reading, decision, logged, snapshot, costs)

    def _next_worker(self) -> tuple[WorkerInfo, WorkerLoad]:
        loads = {load.worker_id: load for load in self._parts.dispatcher.loads()}
        workers = [(worker, loads[worker.worker_id]) for worker in self._parts.dispatcher.workers()]
        if not workers:
            raise Unavailable("no worker is ready", retry_after_seconds=1.0)
        return min(workers, key=lambda pair: pair[1].outstanding_tokens)

    def _noise_seed(self, request: Request) -> int:
        seed = request.sampling.seed
        return (self._parts.draw_seed() if seed is None else seed) & _SEED_BITS


def _within(request: Request, prompt_tokens: int, worker: WorkerInfo) -> Request:
    """Ask for no more tokens than the context still holds: what cannot come must not hold room."""
    room = min(worker.max_context_tokens, worker.kv_capacity_tokens) - prompt_tokens
    stopping = replace(request.stopping, max_tokens=min(request.stopping.max_tokens, room))
    return replace(request, stopping=stopping)
