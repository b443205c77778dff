"""`admission:` — how much the service takes on."""

from pydantic import Field

from specsched.config.sections.base import Section


class Admission(Section):
    """How much the service takes on."""

    max_requests: int = Field(default=256, ge=1, description="Requests admitted and not yet complete.")
    max_outstanding_tokens: int = Field(
        default=131_072, ge=1, description="Prompt and completion tokens that admitted requests may still come to."
    )
