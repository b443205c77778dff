"""What Prometheus scrapes of a scheduler (API.md, "Metrics").

Labels are bounded. Everything stands at zero before the first event; a rate of 0 is one that nobody knows yet. The
metrics are registered where they are told, so a process may have several sets. What is counted every round has its
labels looked up once: a look-up costs several times what counting does.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from specsched.errors import DuplicateRequest, InvalidRequest, Overloaded, PoisonRequest, QuotaExceeded, Unavailable
from specsched.records import NO_DRAFT, Decision, RoundRecord, WorkerLoad
from specsched.telemetry.tenant_metrics import TenantMetrics
from specsched.telemetry.worker_figures import WorkerFigures

_TURNED_AWAY = (InvalidRequest, DuplicateRequest, PoisonRequest, Overloaded, QuotaExceeded, Unavailable)
REASONS = tuple(error.reason for error in _TURNED_AWAY)
"""Why a scheduler turns a request away."""

_FIRST_TOKEN = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_PACE = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_WAIT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
_THOUGHT = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1)


class SchedulerMetrics:
    """The scheduler's meter."""

    def __init__(
        self,
        registry: CollectorRegistry,
        drafts: Sequence[str],
        prompt_classes: Sequence[str],
        max_gamma: int,
        workers: Sequence[str] = (),
        max_tenants: int = 100,
    ) -> None:
        """Register everything.

        Args:
            registry: Takes the metrics; has none of these names yet.
            drafts: Of the pool, plain decoding not named.
            prompt_classes: That the classifier knows.
            max_gamma: Largest lookahead that the policy chooses; a caller may pin a larger one.
            workers: Names of those that there will be.
            max_tenants: Tenants with a label of their own.
        """
        self._add_requests(registry)
        self._add_rounds(registry, drafts, prompt_classes, max_gamma)
        self._add_speeds(registry, prompt_classes)
        self._workers = WorkerFigures(registry, workers)
        self._tenants = TenantMetrics(registry, max_tenants)
        decisions = Counter(
            "specsched_policy_decisions_total",
            "Decisions of the policy, by the arm that it starts with.",
            ("draft", "gamma", "prompt_class", "explored"),
            registry=registry,
        )
        self._decisions = cache(decisions.labels)
        arms = ((NO_DRAFT, 0), *product(drafts, range(1, max_gamma + 1)))
        for (draft, gamma), prompt_class, explored in product(arms, prompt_classes, (False, True)):
            self._decisions(draft, gamma, prompt_class, _said(explored))

    def classified(self, seconds: float) -> None:
        """Measure a classification."""
        self._classifier.observe(seconds)

    def decided(self, decision: Decision, seconds: float) -> None:
        """Count and measure a decision."""
        plan = decision.plan
        self._decisions(plan.draft_model, plan.gamma, decision.prompt_class, _said(plan.explored)).inc()
        self._decision.observe(seconds)

    def rejected(self, reason: str) -> None:
        """Count a refusal."""
        self._rejected.labels(reason).inc()

    def dispatched(self, waited_seconds: float) -> None:
        """Measure what a request waited."""
        self._queue_wait.observe(waited_seconds)

    def queued(self, requests: int) -> None:
        """Set the depth of the queue."""
        self._queue_depth.set(requests)

    def first_token(self, seconds: float) -> None:
        """Measure the time to a first token."""
        self._first_token.observe(seconds)

    def token_pace(self, seconds: float) -> None:
        """Measure the time of an output token."""
        self._pace.observe(seconds)

    def loads(self, loads: Sequence[WorkerLoad]) -> None:
        """Take what workers say of themselves."""
        self._workers.take(loads)

    def profiled(self) -> None:
        """Count a profile."""
        self._workers.profiled()

    def round(self, tenant: str, prompt_class: str, record: RoundRecord) -> None:
        """Count a round: what it cost its tenant, and, where it verified a draft, vLLM's figures."""
        seconds = (record.propose_seconds + record.verify_seconds) / record.batch_size
        self._tenants.used(tenant, record.gamma, seconds)
        if record.gamma == 0:
            return
        draft = record.draft_model
        self._drafts(draft, prompt_class).inc()
        self._draft_tokens(draft, prompt_class).inc(record.gamma)
        self._accepted(draft, prompt_class).inc(record.num_accepted)
        for position in range(1, record.num_accepted + 1):
            self._accepted_at(draft, position).inc()

    def goodput(self, prompt_class: str, tokens_per_second: float) -> None:
        """Set the goodput of a class."""
        self._goodput(prompt_class).set(tokens_per_second)

    def speedup(self, prompt_class: str, ratio: float) -> None:
        """Set the speed-up of a class."""
        self._speedup(prompt_class).set(ratio)

    def plain_decoding(self, tokens_per_second: float) -> None:
        """Set plain decoding's rate."""
        self._plain.set(tokens_per_second)

    def _add_requests(self, registry: CollectorRegistry) -> None:
        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, buckets=buckets, registry=registry)

        self._first_token = histogram(
            "specsched_time_to_first_token_seconds", "From a request's arrival to its first token.", _FIRST_TOKEN
        )
        self._pace = histogram(
            "specsched_time_per_output_token_seconds",
            "Of a completion: time for each token after those of its first round.",
            _PACE,
        )
        self._queue_wait = histogram(
            "specsched_queue_wait_seconds", "From a request's arrival to its dispatch to a worker.", _WAIT
        )
        self._classifier = histogram("specsched_classifier_seconds", "Classifying one prompt.", _THOUGHT)
        self._decision = histogram("specsched_decision_seconds", "One decision of the policy.", _THOUGHT)
        self._queue_depth = Gauge(
            "specsched_queue_depth", "Requests that wait for a row of a worker.", registry=registry
        )
        self._rejected = Counter(
            "specsched_rejected_total",
            "Requests that the scheduler turned away before dispatch; malformed messages do not come this far.",
            ("reason",),
            registry=registry,
        )
        for reason in REASONS:
            self._rejected.labels(reason)

    def _add_rounds(
        self, registry: CollectorRegistry, drafts: Sequence[str], prompt_classes: Sequence[str], max_gamma: int
    ) -> None:
        def counter(name: str, text: str, second: str = "prompt_class") -> Callable[..., Counter]:
            made = Counter(f"specsched_spec_decode_{name}_total", text, ("draft", second), registry=registry)
            return cache(made.labels)

        self._drafts = counter("num_drafts", "Rounds that verified drafted tokens.")
        self._draft_tokens = counter("num_draft_tokens", "Tokens drafted and verified.")
        self._accepted = counter("num_accepted_tokens", "Drafted tokens that were committed.")
        self._accepted_at = counter(
            "num_accepted_tokens_per_pos", "Drafted tokens that were committed, by position from 1.", "position"
        )
        for draft, prompt_class in product(drafts, prompt_classes):
            for each in (self._drafts, self._draft_tokens, self._accepted):
                each(draft, prompt_class)
        for draft, position in product(drafts, range(1, max_gamma + 1)):
            self._accepted_at(draft, position)

    def _add_speeds(self, registry: CollectorRegistry, prompt_classes: Sequence[str]) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        goodput = gauge(
            "specsched_goodput_tokens_per_second",
            "Committed tokens of a row by measured seconds of its rounds (proposing and verifying), of late.",
            "prompt_class",
        )
        self._plain = gauge(
            "specsched_plain_decoding_tokens_per_second",
            "What plain decoding would have given a row in the same rounds, by the profiled costs of its worker.",
        )
        speedup = gauge(
            "specsched_speedup_ratio",
            "Plain decoding's seconds for the committed tokens by the rounds' measured seconds, of late.",
            "prompt_class",
        )
        self._goodput, self._speedup = cache(goodput.labels), cache(speedup.labels)
        for prompt_class in prompt_classes:
            self._goodput(prompt_class)
            self._speedup(prompt_class)


def _said(flag: bool) -> str:
    return "true" if flag else "false"
