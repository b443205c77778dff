"""One guard per tenant: what is tried for one of them is not lost by another (POLICY.md, "Guard")."""

from collections.abc import Iterable, Mapping

from specsched.policy.guard import Guard
from specsched.policy.settings import PolicySettings

Shares = Mapping[str, int]
"""Tenant → its rows, or its tokens, in a round."""

_KEPT = 1024
"""Tenants whose credit is remembered."""


def by_tenant(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Sum up what is counted row by row. Plain Python: it runs in every round."""
    shares: dict[str, int] = {}
    for tenant, count in counts:
        shares[tenant] = shares.get(tenant, 0) + count
    return shares


class Guards:
    """The guards of one worker's tenants.

    All rows wait for the whole round, so each tenant in it is charged for its own rows, whoever drafted; and a round is
    played only if every one of them can bear it.
    """

    def __init__(self, settings: PolicySettings) -> None:
        self._settings = settings
        self._guards: dict[str, Guard] = {}

    @property
    def credits(self) -> dict[str, float]:
        """What each tenant's account holds, in tokens."""
        return {tenant: guard.credit for tenant, guard in self._guards.items()}

    def inherit(self, before: Mapping[str, float]) -> None:
        """Go on with the credits of guards of other settings."""
        for tenant, credit in before.items():
            self._of(tenant).inherit(credit)

    def allow(self, rows: Shares, slowness: float) -> bool:
        """Whether a round that costs `slowness` × a plain one may be played."""
        return all(self._of(tenant).allows(own, slowness) for tenant, own in rows.items())

    def cover(self, rows: Shares, slowness: float) -> bool:
        """Whether all can pay for work that brings no token and takes `slowness` × a plain round's time."""
        return all(self._of(tenant).covers(own, slowness) for tenant, own in rows.items())

    def covered(self, rows: Shares) -> float:
        """Plain rounds in whose time all can wait for something that brings no token."""
        return max(0.0, min((self._of(tenant).credit / own for tenant, own in rows.items()), default=0.0))

    def settle(self, rows: Shares, tokens: Shares, slowness: float) -> None:
        """Account for a round that committed so many tokens and took `slowness` × the plain one's time, 1 if plain."""
        for tenant, own in rows.items():
            self._of(tenant).settle(own, tokens.get(tenant, 0), slowness)

    def _of(self, tenant: str) -> Guard:
        """A tenant's guard; who has been here for longest makes room for a new one."""
        found = self._guards.get(tenant)
        if found is None:
            if len(self._guards) >= _KEPT:
                del self._guards[next(iter(self._guards))]
            found = self._guards[tenant] = Guard(self._settings)
        return found
