"""What workers say of themselves, for Prometheus: KV use, the guard's budget and its vetoes, profiles."""

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from specsched.records import WorkerLoad


class WorkerFigures:
    """Takes the loads of all ready workers, every so often."""

    def __init__(self, registry: CollectorRegistry, workers: Iterable[str]) -> None:
        """Register; the named workers stand at zero."""
        self._budget = Gauge(
            "specsched_guard_budget_tokens",
            "What the guard would still let speculation lose against plain decoding, of the tenant that has least.",
            ("worker",),
            registry=registry,
        )
        self._kv = Gauge(
            "specsched_kv_cache_usage_ratio", "KV tokens in use by all there are.", ("worker",), registry=registry
        )
        self._vetoes = Counter(
            "specsched_guard_vetoes_total", "Rounds in which the guard forbade speculation.", registry=registry
        )
        self._profiles = Counter(
            "specsched_worker_profiles_total", "Times that a worker measured its costs anew.", registry=registry
        )
        self._seen: dict[str, int] = {}
        for worker in workers:
            self._budget.labels(worker)
            self._kv.labels(worker)

    def profiled(self) -> None:
        """Count a profile that was made after a worker's start."""
        self._profiles.inc()

    def take(self, loads: Sequence[WorkerLoad]) -> None:
        """Set gauges, and count the vetoes that are new; a restarted worker counts from zero."""
        for load in loads:
            self._budget.labels(load.worker_id).set(load.guard_budget_tokens)
            capacity = load.kv_capacity_tokens
            self._kv.labels(load.worker_id).set(load.kv_used_tokens / capacity if capacity else 0.0)
            before = self._seen.get(load.worker_id, 0)
            self._vetoes.inc(load.guard_vetoes - before if load.guard_vetoes >= before else load.guard_vetoes)
            self._seen[load.worker_id] = load.guard_vetoes
