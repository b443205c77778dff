"""Which drafts are held against a request that is over and did not play them (POLICY.md, "Counterfactuals")."""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping

from specsched.policy.batch import Batch, Lane
from specsched.policy.cost import TrackedCosts
from specsched.policy.offset import tokens_by_gamma
from specsched.policy.settings import PolicySettings
from specsched.records import Beta, Candidate

_HOPES = ((1.356, 0.2221), (2.857, 0.0113))
"""Hazards may lie so many standard deviations above what is believed of them, with these chances: the upper ones of the
five points that stand for a normal law (Gauss-Hermite)."""

_LEAST_FORGOTTEN = 1e-4
"""Nothing is learnt for more than ten thousand tokens."""


_CALMING = 0.9
"""What is left of a surprise with each time that was none."""


class Rivals:
    """An account of time that rounds pay a share into, and a turn for whoever promises to win most for its cost.

    Nobody who is cheap but well known goes before one that is dear and unknown: that one's turn waits for the account.
    """

    def __init__(self, settings: PolicySettings) -> None:
        self._tokens_ahead = 1 / max(1 - settings.forgetting, _LEAST_FORGOTTEN)
        self._share = settings.hindsight_share
        self._seconds = 0.0
        self._dearness: dict[tuple[str, bool], float] = defaultdict(lambda: 1.0)
        """Measured ÷ predicted time, by draft and whether a row is sampled: to cut laws off may take most of it."""

    def earn(self, seconds: float) -> None:
        """Put in a round's share."""
        self._seconds += self._share * seconds

    def spend(self, seconds: float, expected: float, draft: str, *, sampled: bool) -> None:
        """Take out what looking back took, and expect as much of the next time: less only by and by."""
        self._seconds -= seconds
        if expected:
            known = self._dearness[draft, sampled]
            self._dearness[draft, sampled] = max(1.0, seconds / expected, _CALMING * known)

    def chosen(
        self,
        candidates: Collection[Candidate],
        played: Collection[str],
        context_tokens: int,
        costs: TrackedCosts,
        rows: int = 1,
        most_seconds: float = math.inf,
        *,
        sampled: bool = False,
    ) -> tuple[str, ...]:
        """Return those of a request's drafts that it did not play and there is time for, as their turns come.

        All `rows` of the worker wait for them.
        """
        if not self._share:
            return ()
        seconds = {
            draft: self._dearness[draft, sampled] * costs.prefill(draft, context_tokens)
            for draft in (each.draft_model for each in candidates)
        }
        won = self._won(candidates, context_tokens, costs, rows, seconds)
        waiting = sorted((draft for draft in won if draft not in played), key=lambda draft: -won[draft])
        chosen, left = [], min(self._seconds, most_seconds)
        for draft in waiting:
            left -= seconds[draft]
            if won[draft] <= 0 or left < 0:
                break
            chosen.append(draft)
        return tuple(chosen)

    def _won(
        self,
        candidates: Collection[Candidate],
        context_tokens: int,
        costs: TrackedCosts,
        rows: int,
        seconds: Mapping[str, float],
    ) -> dict[str, float]:
        """Seconds that are to be won by looking at each, less those that rows wait for it.

        Were one better, it would serve about as many tokens as what is learnt is remembered for. So the less is open of
        those that do not pay the seldomer they are looked at, until something changes: what is believed, or the load.
        """
        best = max((_goodput(each, 0.0, context_tokens, costs, rows) for each in candidates), default=0.0)
        won = {}
        for each in candidates:
            cost = rows * seconds[each.draft_model]
            hopes = ((_goodput(each, hope, context_tokens, costs, rows), chance) for hope, chance in _HOPES)
            saved = sum(chance * (1 / best - 1 / max(best, better)) for better, chance in hopes) if cost else math.inf
            won[each.draft_model] = self._tokens_ahead * saved - cost
        return won


def _goodput(candidate: Candidate, deviations: float, context_tokens: int, costs: TrackedCosts, rows: int) -> float:
    """Tokens per second of a row among its like at the draft's best γ or none, so far above its means."""
    tokens = tokens_by_gamma(_above(hazard, deviations) for hazard in candidate.hazards)
    lane = Lane(candidate.draft_model, len(candidate.hazards), tokens=tokens)
    return max(Batch([lane] * rows, costs, context_tokens).goodputs()) / rows


def _above(hazard: Beta, deviations: float) -> float:
    """A hazard so many standard deviations above its mean."""
    mean = hazard.mean
    return min(1.0, mean + deviations * math.sqrt(mean * (1 - mean) / (hazard.a + hazard.b + 1)))
