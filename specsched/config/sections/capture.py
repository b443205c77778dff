"""Prompts and completions that tenants agreed to have kept."""

import re
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from specsched.config.sections.base import Section


class Capture(Section):
    """Prompts and completions that tenants agreed to have kept; off without a directory."""

    directory: str | None = Field(default=None, description="Folder of the files, made when missing; unset: off.")
    tenants: tuple[str, ...] = Field(
        default=(), description="Tenants that agreed; `default` stands for requests that name none."
    )
    redact: tuple[str, ...] = Field(
        default=(),
        description="Regular expressions of what to take out, besides mail addresses, phone and card numbers, tokens.",
    )
    ttl_seconds: float = Field(default=7 * 86_400.0, gt=0, description="Longest time that a text is kept.")
    flush_seconds: float = Field(default=1.0, gt=0, description="Longest time that a text waits to be written.")
    queue_records: int = Field(
        default=1024, ge=1, description="Texts that may wait to be written; more are dropped and counted."
    )

    @field_validator("redact")
    @classmethod
    def _compiles(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                told = {"pattern": repr(pattern), "why": str(error)}
                raise PydanticCustomError("pattern", "{pattern} is no regular expression: {why}", told) from error
        return patterns

    @model_validator(mode="after")
    def _somebody_agreed(self) -> Self:
        if self.directory and not self.tenants:
            raise PydanticCustomError("consent", "tenants: name those that agreed; without any nothing is captured")
        return self
