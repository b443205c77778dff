"""Spans → the collector."""

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from specsched.telemetry.otlp.endpoint import Endpoint, ExportFailed


class SpanWriter:
    """Sends spans that ended (`Writer`)."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._exporter = OTLPSpanExporter(
            endpoint=endpoint.url, insecure=endpoint.insecure, timeout=endpoint.timeout_seconds
        )

    def write(self, items: Sequence[ReadableSpan]) -> None:
        """Send them."""
        if self._exporter.export(items) is not SpanExportResult.SUCCESS:
            raise ExportFailed("the collector takes no spans")

    def tend(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Hang up."""
        self._exporter.shutdown()
