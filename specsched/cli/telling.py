"""All that a service tells of itself, running: metrics, acceptance records, captured text, traces."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry

from specsched.cli.otlp import otlp_tracer
from specsched.cli.sinks import NAMES, acceptance_sinks, capture_sink
from specsched.config.sections.telemetry import Telemetry
from specsched.records import AcceptanceRecord, CapturedCompletion
from specsched.telemetry.endpoint import metrics_endpoint
from specsched.telemetry.service_metrics import SinkMetrics
from specsched.telemetry.sinks.base import Sink
from specsched.telemetry.sinks.broadcast import Broadcast
from specsched.telemetry.sinks.fanout import Fanout
from specsched.telemetry.tracing.base import Tracer


@dataclass(frozen=True, slots=True)
class Telling:
    """Where what happens goes."""

    live: Broadcast
    """Acceptance records to those that listen now."""
    records: Sink[AcceptanceRecord]
    """To them, and to all sinks."""
    capture: Sink[CapturedCompletion]
    tracer: Tracer


@asynccontextmanager
async def telling(section: Telemetry, target: str, registry: CollectorRegistry) -> AsyncGenerator[Telling]:
    """Run what a configuration asks for; what is on its way is written at the end.

    Raises:
        ConfigError: a part needs a package that is not installed.
    """
    sinks = SinkMetrics(registry, NAMES)
    live = Broadcast(
        partial(sinks.dropped, "stream"),
        capacity=section.stream.queue_records,
        max_listeners=section.stream.max_listeners,
    )
    async with (
        metrics_endpoint(section.metrics_address, registry),
        acceptance_sinks(section, sinks) as files,
        capture_sink(section.capture, sinks) as capture,
        otlp_tracer(section, target, sinks, registry) as tracer,
    ):
        yield Telling(live, Fanout([live, files]), capture, tracer)
