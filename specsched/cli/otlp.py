"""What goes to an OTLP endpoint, running: spans, metrics, and acceptance records as logs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from specsched.config.sections.telemetry import Telemetry
from specsched.telemetry.extras import require
from specsched.telemetry.sinks.queued import QueuedSink
from specsched.telemetry.tracing.base import NullTracer, Tracer

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from specsched.telemetry.otlp.endpoint import Endpoint
    from specsched.telemetry.service_metrics import SinkMetrics

FIELD = "telemetry.otlp_endpoint"


@asynccontextmanager
async def otlp_tracer(
    section: Telemetry, model: str, metrics: "SinkMetrics", registry: "CollectorRegistry"
) -> AsyncGenerator[Tracer]:
    """Send spans and metrics while entered; yields the tracer. Without an endpoint it traces nothing.

    Raises:
        ConfigError: a package that it needs is not installed.
    """
    if section.otlp_endpoint is None:
        yield NullTracer()
        return
    endpoint = endpoint_of(section)
    from specsched.telemetry.otlp.endpoint import resource
    from specsched.telemetry.otlp.metrics import MetricsWriter
    from specsched.telemetry.otlp.spans import SpanWriter
    from specsched.telemetry.tracing.otel import OtelTracer

    otlp, who = section.otlp, resource()
    async with (
        QueuedSink(
            "otlp_spans",
            SpanWriter(endpoint),
            partial(metrics.dropped, "otlp_spans"),
            flush_seconds=otlp.flush_seconds,
            capacity=otlp.queue_records,
        ) as spans,
        QueuedSink[object](
            "otlp_metrics",
            MetricsWriter(endpoint, who, registry),
            partial(metrics.dropped, "otlp_metrics"),
            flush_seconds=otlp.metrics_seconds,
        ),
    ):
        yield OtelTracer(spans, who, model, otlp.sampling_ratio)


def endpoint_of(section: Telemetry) -> "Endpoint":
    """Say where the collector is.

    Raises:
        ConfigError: a package that it needs is not installed.
    """
    assert section.otlp_endpoint is not None, "there is an endpoint"
    require("opentelemetry.sdk", FIELD)
    require("opentelemetry.exporter.otlp.proto.grpc", FIELD)
    from specsched.telemetry.otlp.endpoint import Endpoint

    return Endpoint(section.otlp_endpoint, section.otlp.timeout_seconds)
