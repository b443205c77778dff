"""`admin:` — the operators' gRPC surface, on a port of its own."""

from pathlib import Path

from pydantic import Field

from specsched.config.sections.base import Section


class Admin(Section):
    """The operators' gRPC surface, on a port of its own."""

    address: str | None = Field(
        default="127.0.0.1:50072", description="host:port or unix:PATH; port 0 takes a free one; null: nothing listens."
    )
    audit_file: Path | None = Field(
        default=None, description="JSON lines of who changed what, beside the log's; opened for each, so it may rotate."
    )
    watch_config: bool = Field(default=True, description="Whether the file is read again when its content changes.")
