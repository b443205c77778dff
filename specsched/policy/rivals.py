"""Which drafts are held against a request that is over and did not play them (POLICY.md, "Counterfactuals")."""

import math
from collections.abc import Collection

from specsched.policy.batch import Batch, Lane
from specsched.policy.cost import TrackedCosts
from specsched.policy.offset import tokens_by_gamma
from specsched.policy.settings import PolicySettings
from specsched.records import Beta, Candidate

_HOPE = 2.0
"""Standard deviations by which a draft's hazards may lie above what is believed of them."""


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
        hopeful = _hopeful(candidates, context_tokens, costs)
        waiting = [(_turn(rival, costs), rival.draft_model) for rival in hopeful if rival.draft_model not in played]
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


def _hopeful(candidates: Collection[Candidate], context_tokens: int, costs: TrackedCosts) -> list[Candidate]:
    """Those that may well be better than the best that is expected, and those that cost nothing.

    What is forgotten of the others makes them hopeful again.
    """
    best = max((_goodput(each, 0.0, context_tokens, costs) for each in candidates), default=0.0)
    return [
        each
        for each in candidates
        if not costs.prefill(each.draft_model, 1) or _goodput(each, _HOPE, context_tokens, costs) > best
    ]


def _goodput(candidate: Candidate, deviations: float, context_tokens: int, costs: TrackedCosts) -> float:
    """Tokens per second of a lone row at the draft's best γ, plain decoding included, so far above its means."""
    tokens = tokens_by_gamma(_above(hazard, deviations) for hazard in candidate.hazards)
    lane = Lane(candidate.draft_model, len(candidate.hazards), tokens=tokens)
    return max(Batch([lane], costs, context_tokens).goodputs())


def _above(hazard: Beta, deviations: float) -> float:
    """A hazard so many standard deviations above its mean."""
    mean = hazard.mean
    return min(1.0, mean + deviations * math.sqrt(mean * (1 - mean) / (hazard.a + hazard.b + 1)))
