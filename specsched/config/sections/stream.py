"""Live acceptance records: how many may listen, and how far behind."""

from pydantic import Field

from specsched.config.sections.base import Section


class Stream(Section):
    """Live acceptance records on the operators' port."""

    queue_records: int = Field(
        default=1024, ge=1, description="Records that may wait for a listener; it loses more, and is told."
    )
    max_listeners: int = Field(default=16, ge=0, description="Listeners at a time.")
