"""`store:` — what the policy has learnt, over restarts."""

from pydantic import Field

from specsched.config.sections.base import Section


class Store(Section):
    """What the policy has learnt, over restarts."""

    path: str | None = Field(default=None, description="SQLite file; unset: what is learnt ends with the service.")
