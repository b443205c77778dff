"""What is believed about acceptance: one Beta per (regime, draft, class, position) (POLICY.md, "Acceptance")."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specsched.policy.settings import PolicySettings
from specsched.records import Beta, ClassProbabilities, RoundRecord

Array = NDArray[np.float64]

UNKNOWN_MEAN = 0.6
UNKNOWN_STRENGTH = 2.0
"""A draft that nobody has seen: hopeful and vague, so that it is tried and soon known."""


@dataclass(frozen=True, slots=True)
class Regime:
    """Acceptance differs between greedy and sampled rows, and between coupled and rejection-sampled ones."""

    sampled: bool
    coupled: bool


class HazardTable:
    """Evidence on hazards α[class, draft, position], discounted, with a prior that classes share."""

    def __init__(self, classes: Sequence[str], settings: PolicySettings) -> None:
        self._classes = tuple(classes)
        self._settings = settings
        self._evidence: dict[tuple[Regime, str], Array] = {}

    def beliefs(self, regime: Regime, draft: str, probabilities: ClassProbabilities) -> tuple[Beta, ...]:
        """Return the belief on each position's hazard for a prompt of uncertain class.

        The mixture Σ_k π_k Beta_k is matched in mean and variance by one Beta: doubt about the class widens it.
        """
        pi = self._weights(probabilities)[:, None]  # [K, 1]
        a, b = self._posterior(regime, draft)  # [K, J]
        total = a + b
        means = a / total
        mean = (pi * means).sum(0)
        second = (pi * (means * (1 - means) / (total + 1) + means**2)).sum(0)
        strength = np.maximum(mean * (1 - mean) / np.maximum(second - mean**2, 1e-12) - 1, UNKNOWN_STRENGTH)
        return tuple(Beta(float(m * s), float((1 - m) * s)) for m, s in zip(mean, strength, strict=True))

    def observe(self, regime: Regime, probabilities: ClassProbabilities, record: RoundRecord) -> None:
        """Credit a round to the classes by their probabilities; positions beyond the outcome are censored."""
        shown = np.array(outcomes(record, self._settings.max_gamma))  # [2, J]
        if not shown.any():
            return
        pi = self._weights(probabilities)[:, None]
        evidence = self._of(regime, record.draft_model)
        evidence *= self._settings.forgetting ** pi[None]
        evidence += pi[None] * shown[:, None]

    def _posterior(self, regime: Regime, draft: str) -> tuple[Array, Array]:
        evidence = self._of(regime, draft)  # [2, K, J]
        pooled = evidence.sum(1)
        seen = pooled.sum(0)
        mean = (pooled[0] + UNKNOWN_STRENGTH * UNKNOWN_MEAN) / (seen + UNKNOWN_STRENGTH)
        strength = np.minimum(self._settings.prior_strength, UNKNOWN_STRENGTH + seen)
        return evidence[0] + strength * mean, evidence[1] + strength * (1 - mean)

    def _of(self, regime: Regime, draft: str) -> Array:
        shape = (2, len(self._classes), self._settings.max_gamma)
        return self._evidence.setdefault((regime, draft), np.zeros(shape))

    def _weights(self, probabilities: ClassProbabilities) -> Array:
        by_name = dict(zip(probabilities.classes, probabilities.probabilities, strict=True))
        weights = np.array([by_name.get(name, 0.0) for name in self._classes])
        total = weights.sum()
        return weights / total if total > 0 else np.full(len(weights), 1 / len(weights))


def outcomes(record: RoundRecord, positions: int) -> tuple[list[float], list[float]]:
    """Return what a round says per position: mass accepted and mass rejected, each [positions].

    Positions up to the first rejection speak, those beyond are censored, as is a cut at the completion's end.
    Where β_j = Σ min(p, q) is known it stands for the coin: same mean, less variance. A proposer that drafted
    fewer tokens than it was asked for had nothing to go by: that is a miss at the next position.
    """
    accepted, rejected = [0.0] * positions, [0.0] * positions
    by_overlap = bool(record.overlaps) and not record.censored
    known = record.overlaps[: record.gamma] if by_overlap else (1.0,) * record.num_accepted
    for j, beta in enumerate(known[:positions]):
        accepted[j], rejected[j] = beta, 1.0 - beta
    miss = record.num_accepted
    coin = miss < record.gamma and not by_overlap
    short = miss == record.gamma < record.planned_gamma
    if (coin or short) and not record.censored and miss < positions:
        rejected[miss] = 1.0
    return accepted, rejected


def expected_tokens(hazards: NDArray[np.floating[Any]]) -> Array:
    """E[tokens of a round | γ] = 1 + Σ_{j≤γ} Π_{i≤j} α_i for γ = 0 … J; [..., J] → [..., J + 1]."""
    survival = np.cumprod(hazards, axis=-1)
    ones = np.ones((*hazards.shape[:-1], 1))
    return np.concatenate((ones, 1 + np.cumsum(survival, axis=-1)), axis=-1)
