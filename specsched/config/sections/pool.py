"""`pool:` — which models are served."""

from pydantic import Field

from specsched.config.sections.base import Section


class PoolSection(Section):
    """Which models are served."""

    manifest: str | None = Field(default=None, description="Path of a pool.yaml; unset: the reference pool.")
