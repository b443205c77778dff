"""A request's own ease: an offset u on the logit of every hazard (POLICY.md, "Request level")."""

from collections import defaultdict

import numpy as np

from specsched.policy.acceptance import Array, outcomes
from specsched.policy.settings import PolicySettings
from specsched.records import Beta, RoundRecord


class RequestHazards:
    """Hazards of one request: its class's beliefs, shifted by what its own rounds showed.

    u = Σ(y − m) / (Σ m(1 − m) + 2) is one Newton step from 0, clipped; another draft's rounds count for 60 %.
    """

    def __init__(self, candidates: dict[str, tuple[Beta, ...]], settings: PolicySettings) -> None:
        self._means: dict[str, Array] = {d: np.array([h.mean for h in hazards]) for d, hazards in candidates.items()}
        self._settings = settings
        self._surprise: dict[str, float] = defaultdict(float)
        self._information: dict[str, float] = defaultdict(float)

    @property
    def drafts(self) -> tuple[str, ...]:
        """Drafts that it knows."""
        return tuple(self._means)

    def hazards(self, draft: str) -> Array:
        """σ(logit m + u), [J]."""
        means = np.clip(self._means[draft], 1e-3, 1 - 1e-3)
        odds = means / (1 - means) * np.exp(self.offset(draft))
        return np.asarray(odds / (1 + odds))

    def offset(self, draft: str) -> float:
        """Return u as seen by one draft."""
        surprise, information = self._pooled(self._surprise, draft), self._pooled(self._information, draft)
        limit = self._settings.offset_limit
        return float(np.clip(surprise / (information + self._settings.offset_prior), -limit, limit))

    def observe(self, record: RoundRecord) -> None:
        """Learn from one of the request's rounds."""
        means = self._means.get(record.draft_model)
        if means is None:
            return
        accepted, rejected = outcomes(record, len(means))
        seen = accepted + rejected
        self._surprise[record.draft_model] += float((accepted - seen * means).sum())
        self._information[record.draft_model] += float((seen * means * (1 - means)).sum())

    def _pooled(self, sums: dict[str, float], draft: str) -> float:
        own = sums.get(draft, 0.0)
        return own + self._settings.offset_sharing * (sum(sums.values()) - own)
