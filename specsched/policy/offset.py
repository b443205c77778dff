"""A request's own ease: an offset u on the logit of every draft's hazards (POLICY.md, "Request level")."""

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import mul

from specsched.policy.outcomes import outcomes
from specsched.policy.settings import PolicySettings
from specsched.records import Candidate, RoundRecord

_EDGE = 1e-3


class RequestHazards:
    """Hazards of one request: what is believed of its kind, shifted by what its own rounds showed.

    u, one number per draft, is normal around 0. Its covariance has two sources: requests of one class differ, in a way
    that drafts share in part, and what is believed may be wrong: the plan says how far, and how far alike for two
    drafts (`Candidate.covariance`). Where the class is doubtful, rounds of one draft tell which class it is, and so
    what others would bring. Each round is one step of an extended Kalman filter.
    """

    def __init__(self, candidates: Sequence[Candidate], settings: PolicySettings) -> None:
        self._places = {candidate.draft_model: place for place, candidate in enumerate(candidates)}
        self._odds = [[_odds(hazard.mean) for hazard in candidate.hazards] for candidate in candidates]
        self._covariance = _prior(candidates, settings)
        self._offsets = [0.0] * len(candidates)
        self._hazards: dict[str, list[float]] = {}
        self._tokens: dict[str, list[float]] = {}

    @property
    def drafts(self) -> tuple[str, ...]:
        """Drafts that it knows."""
        return tuple(self._places)

    def tokens(self, draft: str) -> list[float]:
        """E[tokens of a round | γ] for γ = 0 … J, from hazards σ(logit m + u)."""
        found = self._tokens.get(draft)
        if found is None:
            found = self._tokens[draft] = tokens_by_gamma(self._shifted(draft))
        return found

    def offset(self, draft: str) -> float:
        """Return u as seen by one draft."""
        return self._offsets[self._places[draft]]

    def observe(self, record: RoundRecord) -> None:
        """Learn from one of the request's rounds."""
        place = self._places.get(record.draft_model)
        if place is None:
            return
        hazards = self._shifted(record.draft_model)
        surprise = information = 0.0
        for hazard, hit, miss in zip(hazards, *outcomes(record, len(hazards)), strict=True):
            mass = hit + miss
            if mass == 0:
                break  # censored, and so is what comes after
            surprise += hit - mass * hazard
            information += mass * hazard * (1 - hazard)
        self._move(self._covariance[place], place, surprise, information)
        self._hazards.clear()
        self._tokens.clear()

    def _move(self, with_it: Sequence[float], place: int, surprise: float, information: float) -> None:
        """Condition on a draft's round; `with_it` is every draft's covariance with that one."""
        scale = 1 + information * with_it[place]
        self._offsets = [u + c * surprise / scale for u, c in zip(self._offsets, with_it, strict=True)]
        kept = information / scale
        gains = [kept * c for c in with_it]
        self._covariance = [
            [c - gain * other for c, other in zip(row, with_it, strict=True)]
            for row, gain in zip(self._covariance, gains, strict=True)
        ]

    def _shifted(self, draft: str) -> list[float]:
        found = self._hazards.get(draft)
        if found is None:
            place = self._places[draft]
            shift = math.exp(self._offsets[place])
            found = self._hazards[draft] = [odds * shift / (1 + odds * shift) for odds in self._odds[place]]
        return found


def _prior(candidates: Sequence[Candidate], settings: PolicySettings) -> list[list[float]]:
    """Covariance of u before any round: of the request, and of what is believed."""
    own, shared = settings.request_variance, settings.request_variance * settings.offset_sharing
    return [
        [(own if row == column else shared) + doubt for column, doubt in enumerate(_doubts(candidates, row))]
        for row in range(len(candidates))
    ]


def _doubts(candidates: Sequence[Candidate], row: int) -> Sequence[float]:
    """What a candidate's belief shares with each one's; a plan that does not say it shares nothing."""
    candidate = candidates[row]
    if len(candidate.covariance) == len(candidates):
        return candidate.covariance
    first = candidate.hazards[0]
    mean = min(max(first.mean, _EDGE), 1 - _EDGE)
    alone = 1 / ((first.a + first.b) * mean * (1 - mean))
    return [alone if column == row else 0.0 for column in range(len(candidates))]


def _odds(mean: float) -> float:
    bounded = min(max(mean, _EDGE), 1 - _EDGE)
    return bounded / (1 - bounded)


def tokens_by_gamma(hazards: Iterable[float]) -> list[float]:
    """1 + Σ_{j≤γ} Π_{i≤j} α_i, in plain Python: a round cannot wait for arrays of eight."""
    survival = accumulate(hazards, mul)
    return list(accumulate(survival, initial=1.0))
