"""`telemetry:` — what the service says of itself."""

from typing import Annotated

from pydantic import AfterValidator, Field

from specsched.config.sections.address import host_and_port
from specsched.config.sections.base import Section
from specsched.config.sections.capture import Capture
from specsched.config.sections.files import Files
from specsched.config.sections.otlp import Otlp
from specsched.config.sections.stream import Stream


class Telemetry(Section):
    """What the service says of itself."""

    metrics_address: Annotated[str, AfterValidator(host_and_port)] | None = Field(
        default=None,
        description="host:port where Prometheus scrapes /metrics, usually 127.0.0.1:9464; unset: nothing listens.",
    )
    max_tenants: int = Field(
        default=100, ge=0, description="Tenants with a label of their own in metrics; later ones are `other`."
    )
    jsonl: Files = Field(default=Files(), description="Acceptance records as JSON lines.")
    parquet: Files = Field(default=Files(), description="Acceptance records as Parquet; needs the telemetry extra.")
    stream: Stream = Field(default=Stream(), description="Live acceptance records on the operators' port.")
    capture: Capture = Field(default=Capture(), description="Prompts and completions that tenants agreed to have kept.")
    otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+$",
        description="OTLP/gRPC receiver, http://host:4317 or https://…: traces and metrics; needs the telemetry extra.",
    )
    otlp: Otlp = Field(default=Otlp(), description="What goes to the OTLP endpoint, and how.")
