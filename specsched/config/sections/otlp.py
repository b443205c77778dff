"""What goes to the OTLP endpoint, and how."""

from pydantic import Field

from specsched.config.sections.base import Section


class Otlp(Section):
    """What goes to the OTLP endpoint, and how."""

    sampling_ratio: float = Field(
        default=1.0, ge=0, le=1, description="Share of the traces that begin here; a caller's own decision is kept."
    )
    records: bool = Field(default=False, description="Whether acceptance records are sent too, as logs.")
    metrics_seconds: float = Field(default=15.0, gt=0, description="Between two exports of all metrics.")
    flush_seconds: float = Field(default=1.0, gt=0, description="Longest time that a span or record waits.")
    timeout_seconds: float = Field(default=5.0, gt=0, description="Time that the collector has for one export.")
    queue_records: int = Field(
        default=16_384, ge=1, description="Spans, and records, that may wait; more are dropped and counted."
    )
