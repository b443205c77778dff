"""The sinks that a configuration asks for, running."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from specsched.cli.otlp import endpoint_of
from specsched.config.sections.capture import Capture
from specsched.config.sections.files import Files
from specsched.config.sections.otlp import Otlp
from specsched.config.sections.telemetry import Telemetry
from specsched.records import AcceptanceRecord, CapturedCompletion
from specsched.telemetry.sinks.base import NullSink, Sink, Writer
from specsched.telemetry.sinks.fanout import Fanout
from specsched.telemetry.sinks.queued import QueuedSink
from specsched.telemetry.sinks.segments import Rotation

if TYPE_CHECKING:
    from specsched.telemetry.service_metrics import SinkMetrics

NAMES = ("jsonl", "parquet", "otlp_records", "otlp_spans", "otlp_metrics", "stream", "capture")
"""Of the sinks, in metrics."""


@asynccontextmanager
async def acceptance_sinks(section: Telemetry, metrics: "SinkMetrics") -> AsyncGenerator[Sink[AcceptanceRecord]]:
    """Run all sinks of acceptance records that a configuration names; they write the rest at the end.

    Raises:
        ConfigError: one needs a package that is not installed.
    """
    async with AsyncExitStack() as stack:
        sinks = [
            await stack.enter_async_context(
                QueuedSink(
                    name,
                    writer,
                    partial(metrics.dropped, name),
                    flush_seconds=of.flush_seconds,
                    capacity=of.queue_records,
                )
            )
            for name, of, writer in _writers(section)
        ]
        yield Fanout(sinks)


@asynccontextmanager
async def capture_sink(section: Capture, metrics: "SinkMetrics") -> AsyncGenerator[Sink[CapturedCompletion]]:
    """Keep text of the tenants that agreed, while entered; nothing where the configuration names no folder."""
    if section.directory is None:
        yield NullSink()
        return
    from specsched.telemetry.capture.consent import Consent
    from specsched.telemetry.capture.redaction import Redactor
    from specsched.telemetry.capture.writer import CaptureWriter

    async with QueuedSink(
        "capture",
        CaptureWriter(Path(section.directory), Redactor(section.redact), section.ttl_seconds),
        partial(metrics.dropped, "capture"),
        flush_seconds=section.flush_seconds,
        capacity=section.queue_records,
    ) as sink:
        yield Consent(section.tenants, sink)


def _writers(section: Telemetry) -> Iterator[tuple[str, Files | Otlp, Writer[AcceptanceRecord]]]:
    from specsched.telemetry.sinks.jsonl import JsonlWriter
    from specsched.telemetry.sinks.parquet import ParquetWriter
    from specsched.telemetry.sinks.rows import row_of

    if section.jsonl.directory:
        yield "jsonl", section.jsonl, JsonlWriter(Path(section.jsonl.directory), row_of, _rotation(section.jsonl))
    if section.parquet.directory:
        yield "parquet", section.parquet, ParquetWriter(Path(section.parquet.directory), _rotation(section.parquet))
    if section.otlp_endpoint and section.otlp.records:
        endpoint = endpoint_of(section)
        from specsched.telemetry.otlp.endpoint import resource
        from specsched.telemetry.otlp.records import RecordWriter

        yield "otlp_records", section.otlp, RecordWriter(endpoint, resource())


def _rotation(files: Files) -> Rotation:
    return Rotation(files.max_file_bytes, files.max_file_seconds, files.keep_files)
