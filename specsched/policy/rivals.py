"""Which drafts are held against a request that is over and did not play them (POLICY.md, "Counterfactuals")."""

import math
from collections.abc import Collection

from specsched.policy.cost import TrackedCosts
from specsched.policy.settings import PolicySettings
from specsched.records import Candidate


class Rivals:
    """An account of time that rounds pay a share into, and a turn for whoever tells most for its cost.

    Nobody who is cheap but well known goes before one that is dear and unknown: that one's turn waits for the account.
    """

    def __init__(self, settings: PolicySettings) -> None:
        self._share = settings.hindsight_share
        self._seconds = 0.0

    def earn(self, seconds: float) -> None:
        """Put in a round's share."""
        self._seconds += self._share * seconds

    def spend(self, seconds: float) -> None:
        """Take out what looking back took."""
        self._seconds -= seconds

    def chosen(
        self,
        candidates: Collection[Candidate],
        played: Collection[str],
        context_tokens: int,
        costs: TrackedCosts,
        most_seconds: float = math.inf,
    ) -> tuple[str, ...]:
        """Return those of a request's drafts that it did not play and there is time for, as their turns come."""
        if not self._share:
            return ()
        waiting = [(_turn(rival, costs), rival.draft_model) for rival in candidates if rival.draft_model not in played]
        chosen, left = [], min(self._seconds, most_seconds)
        for _, draft in sorted(waiting):
            left -= costs.prefill(draft, context_tokens)
            if left < 0:
                break
            chosen.append(draft)
        return tuple(chosen)


def _turn(rival: Candidate, costs: TrackedCosts) -> float:
    """Cost of taking in a token × pseudo-counts of what is believed already: less comes first."""
    first = rival.hazards[0]
    return costs.prefill(rival.draft_model, 1) * (first.a + first.b)
