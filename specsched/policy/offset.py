"""A request's own ease: an offset u on the logit of every hazard (POLICY.md, "Request level")."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import mul

from specsched.policy.outcomes import outcomes
from specsched.policy.settings import PolicySettings
from specsched.records import Beta, RoundRecord

_EDGE = 1e-3


class RequestHazards:
    """Hazards of one request: its class's beliefs, shifted by what its own rounds showed.

    u = Σ(y − m) / (Σ m(1 − m) + 1/v) is one Newton step from 0, clipped. v is how far a request may lie from what is
    believed of its class: requests differ (½ in logits², so 1/v = 2 where the class is well known), and a vague belief
    may itself be wrong. Of a surprise, the share that the request and not the belief accounts for, times 60 %, is what
    it says about other drafts.
    """

    def __init__(self, candidates: dict[str, tuple[Beta, ...]], settings: PolicySettings) -> None:
        self._means = {d: [min(max(h.mean, _EDGE), 1 - _EDGE) for h in hazards] for d, hazards in candidates.items()}
        self._doubt = {d: _doubt(hazards) for d, hazards in candidates.items()}
        self._settings = settings
        self._surprise: dict[str, float] = defaultdict(float)
        self._information: dict[str, float] = defaultdict(float)
        self._tokens: dict[str, list[float]] = {}

    @property
    def drafts(self) -> tuple[str, ...]:
        """Drafts that it knows."""
        return tuple(self._means)

    def tokens(self, draft: str) -> list[float]:
        """E[tokens of a round | γ] for γ = 0 … J, from hazards σ(logit m + u)."""
        if draft not in self._tokens:
            shift = math.exp(self.offset(draft))
            self._tokens[draft] = _expected(m * shift / (1 - m + m * shift) for m in self._means[draft])
        return self._tokens[draft]

    def offset(self, draft: str) -> float:
        """Return u as seen by one draft."""
        surprise, information = self._pooled(self._surprise, draft), self._pooled(self._information, draft)
        spread = self._settings.request_variance + self._doubt[draft]
        limit = self._settings.offset_limit
        return max(-limit, min(limit, surprise / (information + 1 / spread)))

    def observe(self, record: RoundRecord) -> None:
        """Learn from one of the request's rounds."""
        means = self._means.get(record.draft_model)
        if means is None:
            return
        for mean, accepted, rejected in zip(means, *outcomes(record, len(means)), strict=True):
            seen = accepted + rejected
            self._surprise[record.draft_model] += accepted - seen * mean
            self._information[record.draft_model] += seen * mean * (1 - mean)
        self._tokens.clear()

    def _pooled(self, sums: dict[str, float], draft: str) -> float:
        return sum(value if name == draft else self._shared(name) * value for name, value in sums.items())

    def _shared(self, draft: str) -> float:
        """Weight of a draft's rounds for others."""
        request = self._settings.request_variance
        return self._settings.offset_sharing * request / (request + self._doubt[draft])


def _doubt(hazards: Sequence[Beta]) -> float:
    """Variance of the belief on a draft, in logits², at its first position."""
    first = hazards[0]
    mean = min(max(first.mean, _EDGE), 1 - _EDGE)
    return 1 / ((first.a + first.b) * mean * (1 - mean))


def _expected(hazards: Iterable[float]) -> list[float]:
    """1 + Σ_{j≤γ} Π_{i≤j} α_i, in plain Python: a round cannot wait for arrays of eight."""
    survival = accumulate(hazards, mul)
    return list(accumulate(survival, initial=1.0))
