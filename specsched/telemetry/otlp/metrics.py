"""The metrics that Prometheus scrapes → the collector, read from the same registry: names, labels and values agree."""

import time
from collections.abc import Callable, Iterable, Sequence

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry
from prometheus_client import Metric as Family
from prometheus_client.samples import Sample

from specsched.telemetry.otlp.endpoint import Endpoint, ExportFailed

_NANO = 1_000_000_000
_CUMULATIVE = AggregationTemporality.CUMULATIVE


class MetricsWriter:
    """Sends all metrics whenever it is tended (`Writer` of nothing)."""

    def __init__(
        self,
        endpoint: Endpoint,
        resource: Resource,
        registry: CollectorRegistry,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._resource = resource
        self._registry = registry
        self._wall_clock = wall_clock
        self._started = int(wall_clock() * _NANO)
        self._exporter = OTLPMetricExporter(
            endpoint=endpoint.url, insecure=endpoint.insecure, timeout=endpoint.timeout_seconds
        )

    def write(self, items: Sequence[object]) -> None:
        """Nothing comes this way."""

    def tend(self) -> None:
        """Send all metrics as they are."""
        now = int(self._wall_clock() * _NANO)
        metrics = [_metric(family, self._started, now) for family in self._registry.collect() if family.samples]
        scope = ScopeMetrics(InstrumentationScope("specsched"), metrics, "")
        if self._exporter.export(MetricsData([ResourceMetrics(self._resource, [scope], "")])) is not (
            MetricExportResult.SUCCESS
        ):
            raise ExportFailed("the collector takes no metrics")

    def close(self) -> None:
        """Hang up."""
        self._exporter.shutdown()


def _metric(family: Family, started: int, now: int) -> Metric:
    """Convert one family; its name is the one that Prometheus shows."""
    points = [sample for sample in family.samples if not sample.name.endswith("_created")]
    if family.type == "histogram":
        return Metric(family.name, family.documentation, "", Histogram(_histograms(points, started, now), _CUMULATIVE))
    numbers = [NumberDataPoint(dict(sample.labels), started, now, sample.value) for sample in points]
    if family.type == "counter":
        return Metric(points[0].name, family.documentation, "", Sum(numbers, _CUMULATIVE, is_monotonic=True))
    return Metric(points[0].name, family.documentation, "", Gauge(numbers))


def _histograms(samples: Iterable[Sample], started: int, now: int) -> list[HistogramDataPoint]:
    """One point per set of labels: Prometheus' buckets are cumulative, OTLP's are not."""
    groups: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in samples:
        labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        groups.setdefault(labels, []).append(sample)
    return [_histogram(dict(labels), group, started, now) for labels, group in groups.items()]


def _histogram(labels: dict[str, str], samples: Sequence[Sample], started: int, now: int) -> HistogramDataPoint:
    buckets = [(float(sample.labels["le"]), int(sample.value)) for sample in samples if "le" in sample.labels]
    counts = [count for _, count in buckets]
    total = next(sample.value for sample in samples if sample.name.endswith("_sum"))
    return HistogramDataPoint(
        attributes=labels,
        start_time_unix_nano=started,
        time_unix_nano=now,
        count=counts[-1],
        sum=total,
        bucket_counts=[count - before for before, count in zip([0, *counts], counts, strict=False)],
        explicit_bounds=[bound for bound, _ in buckets[:-1]],
        min=0.0,
        max=0.0,
    )
