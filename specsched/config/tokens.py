"""The file of bearer tokens, YAML or JSON: who may call, for whom, and how much. Its values never stand in an error."""

import hashlib
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from specsched.config.sections.base import Section
from specsched.errors import ConfigError
from specsched.records import MAX_PRIORITY, Caller, Credential, Quota, Role

LEAST_TOKEN_CHARACTERS = 16
"""A digest protects only what cannot be guessed."""


class QuotaEntry(Section):
    """What one token may take."""

    max_requests: int | None = Field(default=None, ge=1, description="Admitted and not yet complete.")
    requests_per_minute: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="Calls a minute.")
    tokens_per_minute: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Prompt and completion tokens a minute."
    )


class TokenEntry(Section):
    """One bearer token."""

    name: str = Field(min_length=1, max_length=128, description="In logs and the audit; unique.")
    token: str | None = Field(default=None, description="The token itself; better give its sha256.")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{64}$", description="SHA-256 of the token, in hex.")
    roles: frozenset[Role] = Field(default=frozenset({Role.GENERATE}), min_length=1, description="What it may use.")
    tenants: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="On whose behalf, the first when a call names none; unset: its name."
    )
    max_priority: int = Field(default=0, ge=-MAX_PRIORITY, le=MAX_PRIORITY, description="Highest of its requests.")
    quota: QuotaEntry = Field(default=QuotaEntry(), description="What it may take.")

    @field_validator("tenants")
    @classmethod
    def _tenants_have_names(cls, tenants: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if tenants is not None and not all(name and name.isprintable() and len(name) <= 128 for name in tenants):
            raise PydanticCustomError("tenant", "expected names of 1 to 128 characters")
        return tenants

    @model_validator(mode="after")
    def _has_one_secret(self) -> Self:
        if (self.token is None) == (self.sha256 is None):
            raise PydanticCustomError("secret", "give either token or sha256")
        if self.token is not None and len(self.token) < LEAST_TOKEN_CHARACTERS:
            raise PydanticCustomError("short", "the token has fewer than 16 characters")
        return self

    def credential(self) -> Credential:
        """Return the record."""
        digest = bytes.fromhex(self.sha256) if self.sha256 else hashlib.sha256((self.token or "").encode()).digest()
        quota = Quota(**self.quota.model_dump())
        return Credential(digest, Caller(self.name, self.roles, self.tenants or (self.name,), self.max_priority, quota))


class TokenFile(Section):
    """The whole file."""

    tokens: tuple[TokenEntry, ...] = Field(description="One entry per token.")


def load_credentials(path: Path) -> tuple[Credential, ...]:
    """Read a file of tokens.

    Raises:
        ConfigError: one line with file and field of every violation, never a value.
    """
    try:
        entries = TokenFile.model_validate(_tree(path)).tokens
    except ValidationError as error:
        said = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False))
        raise ConfigError(f"{path}: {'; '.join(said)}") from None
    credentials = tuple(entry.credential() for entry in entries)
    for what, values in (
        ("name", [each.caller.name for each in credentials]),
        ("token", [each.sha256 for each in credentials]),
    ):
        if len(set(values)) < len(values):
            raise ConfigError(f"{path}: two entries have the same {what}")
    return credentials


def _tree(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(f"{path}{f':{mark.line + 1}' if mark else ''}: no valid YAML") from None
