"""`admission:` — how much the service takes on."""

from typing import Annotated

from pydantic import Field

from specsched.config.sections.base import Section


class Admission(Section):
    """How much the service takes on."""

    max_requests: int = Field(default=256, ge=1, description="Requests that run or wait; beyond it they are refused.")
    max_outstanding_tokens: int = Field(
        default=131_072, ge=1, description="Prompt and completion tokens that admitted requests may still come to."
    )
    tenant_weights: dict[str, Annotated[float, Field(ge=0.001, le=1000)]] = Field(
        default={}, description="Share of each tenant when there is not enough for all; those not named weigh 1."
    )
    priority_seconds: float = Field(
        default=5.0, ge=0, le=3600, description="Waiting time that one point of a request's priority is worth."
    )
