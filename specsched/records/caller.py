"""Who calls, and what that one may use."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a caller may use: a service each."""

    GENERATE = "generate"
    ADMIN = "admin"
    TELEMETRY = "telemetry"


@dataclass(frozen=True, slots=True)
class Quota:
    """What one caller may take. None is no limit."""

    max_requests: int | None = None
    """Admitted and not yet complete."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Prompt and completion together."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as far as credentials tell."""

    name: str
    """For logs and the audit; empty where nobody was asked."""
    roles: frozenset[Role]
    tenants: tuple[str, ...] | None
    """On whose behalf it may call; None: anybody's."""
    max_priority: int
    quota: Quota = Quota()

    def tenant(self, wanted: str) -> str | None:
        """Return the tenant that a call is for, None where it may not call for that one."""
        if self.tenants is None:
            return wanted
        return (wanted if wanted in self.tenants else None) if wanted else self.tenants[0]

    def reach(self, wanted: str) -> tuple[str, ...] | None:
        """Return the tenants that a call is about: the one that it names, where it may, or all that it may call for."""
        if not wanted:
            return self.tenants
        return () if self.tenant(wanted) is None else (wanted,)

    def sees(self, tenant: str) -> bool:
        """Whether it may see what is recorded of a tenant."""
        return self.tenants is None or Role.ADMIN in self.roles or tenant in self.tenants


@dataclass(frozen=True, slots=True)
class Credential:
    """A bearer token, known by its digest alone, and whose it is."""

    sha256: bytes
    caller: Caller


MAX_PRIORITY = 10
"""Priorities are bounded on both sides, so that waiting outweighs each of them some day."""


ANYBODY = Caller("", frozenset(Role), None, MAX_PRIORITY)
"""The caller where no credentials are asked for."""
