"""The sentence: classify → admit → decide → dispatch → observe."""

import secrets
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass, field

from specsched.classify.feedback import ClassFeedback, NullFeedback
from specsched.dispatch.base import Dispatcher
from specsched.errors import SpecschedError, Unavailable
from specsched.policy.base import DecisionContext
from specsched.policy.cost import Priced
from specsched.policy.memory import NullStore, Store
from specsched.records import (
    AcceptanceRecord,
    CapturedCompletion,
    Completion,
    Decision,
    FinishReason,
    GuardBudget,
    Request,
    TextChunk,
    Usage,
    WorkerInfo,
    WorkerLoad,
)
from specsched.scheduler.abort import Abort
from specsched.scheduler.account import Account
from specsched.scheduler.admission.admission import Admission
from specsched.scheduler.admission.limits import Limits, capacity_of
from specsched.scheduler.advice import Advice
from specsched.scheduler.advisor import Advisor
from specsched.scheduler.board import steered
from specsched.scheduler.canonical import write_canonical_line
from specsched.scheduler.case import Case
from specsched.scheduler.checks import check_request
from specsched.scheduler.logbook import Logbook
from specsched.scheduler.observing import Observer
from specsched.scheduler.profiling import Profiling
from specsched.scheduler.quarantine import Quarantine
from specsched.scheduler.reading import Reader, Reading
from specsched.scheduler.remembering import Memory
from specsched.scheduler.resume import ResumeLimits, execute_resumed
from specsched.scheduler.running import Running
from specsched.scheduler.snapshot import Snapshot
from specsched.scheduler.steering import Steering
from specsched.scheduler.summary import unserved
from specsched.scheduler.terms import noise_seed, seconds_left, tokens_of, within
from specsched.telemetry.base import Meter, NullMeter
from specsched.telemetry.sinks.base import NullSink, Sink
from specsched.telemetry.tracing.base import NullTracer, Span, Tracer
from specsched.telemetry.tracing.conventions import completion_attributes, decision_attributes
from specsched.text.stream import TextStream
from specsched.text.tokenizer import Tokenizer


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
    quarantine: Quarantine = field(default_factory=Quarantine)
    meter: Meter = field(default_factory=NullMeter)
    sink: Sink[AcceptanceRecord] = field(default_factory=NullSink)
    capture: Sink[CapturedCompletion] = field(default_factory=NullSink)
    tracer: Tracer = field(default_factory=NullTracer)
    store: Store = field(default_factory=NullStore)
    feedback: ClassFeedback = field(default_factory=NullFeedback)
    advice: Advice = field(default_factory=Advice)
    clock: Callable[[], float] = time.monotonic
    draw_seed: Callable[[], int] = lambda: secrets.randbits(64)


class Scheduler:
    """Takes requests through the sentence. Belongs to one event loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._running = Running()
        self._priced = Priced()
        self._logbook = Logbook(parts.sink)
        self._observer = Observer(parts.snapshot.policy, parts.meter, self._logbook, parts.capture)
        self._memory = Memory(parts.snapshot.policy, parts.store)
        self.profiling = Profiling(parts.dispatcher, parts.meter, parts.clock)
        """Has workers measure their costs anew."""
        self.steering = Steering(parts.snapshot, self._memory, self._observer, parts.dispatcher)
        """What an operator may turn."""
        self.advisor = Advisor(parts.advice, self._observer, parts.feedback)
        """Takes what callers' own engines did."""

    @property
    def prompt_classes(self) -> tuple[str, ...]:
        """Classes that callers may name."""
        return self.steering.snapshot.prompt_classes

    @property
    def known_classes(self) -> tuple[str, ...]:
        """Classes that the classifier tells apart."""
        return self._parts.reader.prompt_classes

    def limit(self, limits: Limits) -> None:
        """Admit by other limits from now on."""
        self._parts.admission.limits = limits

    @property
    def running(self) -> int:
        """Requests admitted and not yet complete."""
        return len(self._running)

    @property
    def queued(self) -> int:
        """Requests that wait for a row, here or in a worker."""
        return self._parts.admission.waiting + sum(load.waiting_rows for load in self._parts.dispatcher.loads())

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
        self._resize()
        self._parts.meter.queued(self.queued)
        self._parts.meter.loads(loads)

    def abort(self, request_id: str, tenants: Collection[str] | None = None) -> None:
        """End a running request of one of these tenants, or of any; raises UnknownRequest."""
        self._running.abort(request_id, tenants)

    async def drain(self, seconds: float) -> None:
        """Refuse new requests, let running ones end, abort what is left after `seconds`."""
        await self._running.drain(seconds)

    async def decide(self, request: Request) -> Decision:
        """Classify and choose without generating.

        Raises:
            InvalidRequest, Overloaded, QuotaExceeded, Unavailable
        """
        with self._parts.tracer.request(request) as span, self._parts.admission.enter(request):
            request, reading = await self._read(request, span)
            case = self._decide(request, reading, span, explain=True)
        self.advisor.decided(case)
        return case.decision

    async def generate(self, request: Request) -> AsyncGenerator[TextChunk | Completion, None]:
        """Yield the deltas of a completion, one per round, then its account.

        Raises:
            InvalidRequest, DuplicateRequest, PoisonRequest, Overloaded, QuotaExceeded, Unavailable
        """
        arrived = self._parts.clock()
        with ExitStack() as held:
            span = held.enter_context(self._parts.tracer.request(request))
            with self._rejections():
                aborted = held.enter_context(self._running.enter(request.tenant, request.request_id))
                place = held.enter_context(self._parts.admission.enter(request))
                request, reading = await self._read(request, span)
                self._resize()
                with span.child("queue"):
                    left = seconds_left(request, self._parts.clock() - arrived)
                    called = await place.turn(tokens_of(request, reading), aborted, left)
                case = self._decide(request, reading, span) if called else None
            account = Account(arrived, self._parts.clock())
            if case is None:
                yield unserved(request, reading, account, self.steering.snapshot.config_sha, aborted=aborted.is_set())
                return
            self.steering.traffic[case.decision.prompt_class, case.decision.plan.draft_model] += 1
            if request.output.echo:
                yield TextChunk(reading.text, ())
            self._parts.meter.dispatched(account.dispatched - arrived)
            async with aclosing(self._complete(case, account, aborted, span)) as answers:
                async for answer in answers:
                    place.used = len(reading.token_ids) + account.tokens
                    yield answer

    async def _complete(
        self, case: Case, account: Account, aborted: Abort, span: Span
    ) -> AsyncGenerator[TextChunk | Completion, None]:
        """Dispatch, deliver and observe every round, then sum up."""
        parts, stopping = self._parts, case.request.stopping
        stream = TextStream(self._parts.tokenizer, stopping.stop, stopping.min_tokens)
        finish = FinishReason.ABORTED
        matched: str | int | None = None
        with span.child("dispatch") as dispatch:
            left = seconds_left(case.request, account.dispatched - account.arrived)
            job = case.job(noise_seed(case.request, self._parts.draw_seed), left, dispatch.trace_parent)
            with self._rejections():
                parts.quarantine.check(job)
            chunks = execute_resumed(parts.dispatcher, job, parts.resume_limits, parts.quarantine, parts.clock)
            async with aclosing(chunks), aclosing(aborted.until(chunks)) as live:
                async for chunk in live:
                    delta = stream.push(chunk)
                    self._observer.observe(case, account, delta, chunk, self._parts.clock())
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
            synthetic=any(worker.synthetic for worker in self._parts.dispatcher.workers()),
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

    async def _read(self, request: Request, span: Span) -> tuple[Request, Reading]:
        """Tokenise, classify and check; the request comes back within the context that its prompt leaves."""
        with span.child("classify"):
            reading = await self._parts.reader.read_aside(request)
        if reading.classify_seconds is not None:
            self._parts.meter.classified(reading.classify_seconds)
        worker = self.worker()
        check_request(request, reading.token_ids, worker)
        return within(request, len(reading.token_ids), worker), reading

    def _decide(self, request: Request, reading: Reading, span: Span, *, explain: bool = False) -> Case:
        """Choose for the worker that would serve next, as busy as it is now: a request may have waited."""
        worker, load = self._next_worker()
        self.steering.meet(worker)
        snapshot = self.steering.snapshot
        usable = self.steering.board.usable(worker.drafts)
        context = DecisionContext(
            class_probabilities=reading.class_probabilities,
            sampled=not request.sampling.greedy,
            coupled=request.sampling.coupled,
            drafts=usable,
            costs=worker.costs,
            hint=steered(request.speculation, usable),
            running_rows=load.running_rows,
            prompt_tokens=len(reading.token_ids),
            expected_tokens=round(self._observer.endings.expected(request.stopping.max_tokens)),
            tenant=request.tenant,
            explain=explain,
        )
        started = self._parts.clock()
        with span.child("decide"):
            plan = snapshot.policy.decide(context)
        budget = GuardBudget(worker.worker_id, request.tenant, load.guard_budgets.get(request.tenant))
        decision = Decision(reading.class_probabilities, plan, snapshot.config_sha, budget if explain else None)
        self._parts.meter.decided(decision, self._parts.clock() - started)
        span.note(decision_attributes(decision))
        logged = self._logbook.decided(request.request_id, context, decision, worker)
        return Case(request, reading, decision, logged, snapshot, self._priced.of(worker.worker_id, worker.costs))

    def _next_worker(self) -> tuple[WorkerInfo, WorkerLoad]:
        loads = {load.worker_id: load for load in self._parts.dispatcher.loads()}
        workers = [(worker, loads[worker.worker_id]) for worker in self._parts.dispatcher.workers()]
        if not workers:
            raise Unavailable("no worker is ready", retry_after_seconds=1.0)
        return min(workers, key=lambda pair: pair[1].outstanding_tokens)

    def _resize(self) -> None:
        if workers := self._parts.dispatcher.workers():  # while none is ready rows resume, and hold what they hold
            self._parts.admission.resize(capacity_of(workers))
