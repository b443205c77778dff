"""What Prometheus scrapes of the service around the scheduler: its calls, its workers, its configuration."""

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from specsched.config.reload import Result

RELOAD_RESULTS = tuple(Result)
"""How a reload ends."""

_CALL = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class CallMetrics:
    """The public server's calls."""

    def __init__(self, registry: CollectorRegistry, methods: Iterable[str], codes: Iterable[str]) -> None:
        requests = Counter(
            "specsched_requests_total", "Calls that ended, by status code.", ("method", "code"), registry=registry
        )
        duration = Histogram(
            "specsched_request_duration_seconds",
            "From a call's arrival to its end.",
            ("method",),
            buckets=_CALL,
            registry=registry,
        )
        self._requests, self._duration = cache(requests.labels), cache(duration.labels)
        methods = tuple(methods)
        for method, code in product(methods, codes):
            self._requests(method, code)
        for method in methods:
            self._duration(method)

    def ended(self, method: str, code: str, seconds: float) -> None:
        """Count a call."""
        self._requests(method, code).inc()
        self._duration(method).observe(seconds)


class WorkerMetrics:
    """Which workers are ready."""

    def __init__(self, registry: CollectorRegistry, names: Mapping[str, str]) -> None:
        """Register all workers, none of them ready.

        Args:
            registry: Takes the metric.
            names: Of the workers, by address.
        """
        self._names = names
        self._up = Gauge("specsched_worker_up", "Whether a worker is ready.", ("worker",), registry=registry)
        for name in names.values():
            self._up.labels(name)

    def changed(self, address: str, ready: bool) -> None:
        """Set whether a worker is ready."""
        self._up.labels(self._names[address]).set(ready)


class RestartMetrics:
    """Restarts of the workers that this service started itself."""

    def __init__(self, registry: CollectorRegistry, reasons: Iterable[str] = ()) -> None:
        """Register them; `reasons` are all that a worker can end for."""
        self._restarts = Counter(
            "specsched_worker_restarts_total", "Workers that died and were started again.", registry=registry
        )
        self._endings = Counter(
            "specsched_worker_endings_total",
            "Why workers that were started again ended.",
            ("reason",),
            registry=registry,
        )
        for reason in reasons:
            self._endings.labels(reason)

    def restarted(self, reason: str) -> None:
        """Count a restart."""
        self._restarts.inc()
        self._endings.labels(reason).inc()


class SinkMetrics:
    """What sinks lost."""

    def __init__(self, registry: CollectorRegistry, sinks: Iterable[str]) -> None:
        self._dropped = Counter(
            "specsched_telemetry_dropped_total",
            "Records that a sink lost: its queue was full, or what it writes to failed.",
            ("sink",),
            registry=registry,
        )
        for sink in sinks:
            self._dropped.labels(sink)

    def dropped(self, sink: str, count: int) -> None:
        """Count losses."""
        self._dropped.labels(sink).inc(count)


class ConfigMetrics:
    """Which configuration is in force, and how reloads ended."""

    def __init__(self, registry: CollectorRegistry, sha: str) -> None:
        self._info = Info("specsched_config", "The configuration in force.", registry=registry)
        self._reloads = Counter(
            "specsched_config_reloads_total", "Reloads of the configuration.", ("result",), registry=registry
        )
        for result in RELOAD_RESULTS:
            self._reloads.labels(result)
        self.in_force(sha)

    def in_force(self, sha: str) -> None:
        """Say which configuration is in force."""
        self._info.info({"sha": sha})

    def reloaded(self, result: str, sha: str) -> None:
        """Count a reload, by one of RELOAD_RESULTS; `sha` is in force after it."""
        self._reloads.labels(result).inc()
        self.in_force(sha)
