"""How much of what is believed may stem from one tenant: nobody's traffic decides for all others."""

from collections import OrderedDict
from collections.abc import Hashable

import numpy as np

from specsched.policy.beliefs import Array
from specsched.policy.settings import PolicySettings

_KNOWN = 16_384
"""Accounts that are kept; the longest silent one is let go."""


class Quota:
    """Evidence by tenant and cell group (a draft in a class), faded like the evidence itself.

    A tenant at its cap goes on teaching, but what it says then takes the place of what it said before, and leaves what
    others said alone. Without tenants there is no cap.
    """

    def __init__(self, settings: PolicySettings) -> None:
        self._cap = settings.tenant_cap
        self._forgetting = settings.forgetting
        self._accounts: OrderedDict[Hashable, Array] = OrderedDict()

    def within(self, tenant: str, group: Hashable, change: Array) -> tuple[Array, bool]:
        """Return what a change of counts, [2, J], comes to within the tenant's cap, and whether it is at its cap."""
        if not tenant:
            return change, False
        key = (tenant, group)
        before = self._accounts.get(key, np.zeros_like(change))
        wanted = np.maximum(before + change, 0.0)
        counts = float(wanted[:, 0].sum())
        full = counts > self._cap
        allowed = wanted * (self._cap / counts) if full else wanted
        self._accounts[key] = allowed if full else self._forgetting * allowed
        self._accounts.move_to_end(key)
        if len(self._accounts) > _KNOWN:
            self._accounts.popitem(last=False)
        return allowed - before, full
