"""`store:` — what the policy has learnt, over restarts."""

from typing import Self

from pydantic import Field, model_validator

from specsched.config.sections.base import Section


class Store(Section):
    """What the policy has learnt, over restarts."""

    path: str | None = Field(default=None, description="SQLite file; unset: what is learnt ends with the service.")
    priors_file: str | None = Field(
        default=None,
        description="What a cold start believes of drafts that `path` knows nothing of: a file of `models "
        "evaluate --priors`, `replay priors` or `policy export`, instead of the pool's own. It counts for little "
        "beside traffic.",
    )
    redis_url: str | None = Field(
        default=None,
        description="redis://host:port/db of a server that replicas learn together through; instead of `path`.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.path is not None and self.redis_url is not None:
            raise ValueError("path and redis_url exclude each other")
        if self.priors_file is not None and self.redis_url is not None:
            raise ValueError("priors_file and redis_url exclude each other: replicas would each add it; import it once")
        return self
