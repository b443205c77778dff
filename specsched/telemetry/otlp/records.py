"""Acceptance records → the collector, as logs: a record is an event with many fields, and keeps all of them there.

As metrics they would be sums without the decision, its seed and its propensity; those sums are exported anyway.
"""

from collections.abc import Sequence

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from specsched.records import AcceptanceRecord
from specsched.telemetry.otlp.endpoint import Endpoint, ExportFailed
from specsched.telemetry.sinks.rows import Row, row_of

EVENT = "specsched.acceptance"
_NANO = 1_000_000_000


class RecordWriter:
    """Sends acceptance records (`Writer`)."""

    def __init__(self, endpoint: Endpoint, resource: Resource) -> None:
        self._resource = resource
        self._scope = InstrumentationScope("specsched")
        self._exporter = OTLPLogExporter(
            endpoint=endpoint.url, insecure=endpoint.insecure, timeout=endpoint.timeout_seconds
        )

    def write(self, items: Sequence[AcceptanceRecord]) -> None:
        """Send them."""
        logs = [ReadableLogRecord(_log(item), self._resource, self._scope) for item in items]
        if self._exporter.export(logs) is not LogRecordExportResult.SUCCESS:
            raise ExportFailed("the collector takes no logs")

    def tend(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Hang up."""
        self._exporter.shutdown()


def _log(record: AcceptanceRecord) -> LogRecord:
    """The columns that files have are its attributes."""
    nanoseconds = int(record.unix_seconds * _NANO)
    return LogRecord(
        timestamp=nanoseconds,
        observed_timestamp=nanoseconds,
        severity_number=SeverityNumber.INFO,
        event_name=EVENT,
        attributes=_attributes(row_of(record)),
    )


def _attributes(row: Row) -> Row:
    """What an attribute cannot hold becomes one that can: None is left out, a seed of 64 bits is text."""
    nested = {name: repr(row[name]) if row[name] else None for name in ("candidates", "hindsight")}
    row = {**row, **nested, "seed": str(row["seed"])}
    return {name: value for name, value in row.items() if value is not None}
