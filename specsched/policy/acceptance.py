"""What is believed about acceptance: one Beta per (regime, draft, class, position) (POLICY.md, "Acceptance")."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specsched.policy.memory import Cell
from specsched.policy.settings import PolicySettings
from specsched.records import Beta, ClassProbabilities, RoundRecord

Array = NDArray[np.float64]

UNKNOWN_MEAN = 0.6
UNKNOWN_STRENGTH = 2.0
"""A draft that nobody has seen: hopeful and vague, so that it is tried and soon known."""

_LEVEL_SHARE = 0.8
"""Of the variance of a draft's hazards, what all positions share."""

_FEW_ROUNDS = 10.0
_ENOUGH_CLASSES = 3
"""Classes with more than a few outcomes, from which on their spread says something."""

_EDGE = 1e-3
_LEAST_VARIANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Regime:
    """Acceptance differs between greedy and sampled rows, and between coupled and rejection-sampled ones."""

    sampled: bool
    coupled: bool


@dataclass(frozen=True, slots=True)
class Beliefs:
    """Betas on the hazards of several drafts, for one prompt."""

    drafts: tuple[str, ...]
    a: Array
    b: Array
    """[D, J]."""

    @property
    def means(self) -> Array:
        """Expected hazards, [D, J]."""
        return self.a / (self.a + self.b)

    def draw(self, random: np.random.Generator, samples: int) -> Array:
        """Draw hazards, [S, D, J]: normal in logits with the Betas' means and variances.

        Doubt about a draft is mostly about its level, the same at every position: positions drawn independently
        would average it away, and a draft that might be good would hardly be tried.
        """
        means = np.clip(self.means, _EDGE, 1 - _EDGE)
        spread = 1 / np.sqrt((self.a + self.b + 1) * means * (1 - means))
        level = random.standard_normal((samples, len(self.drafts), 1))
        own = random.standard_normal((samples, *means.shape))
        normal = _LEVEL_SHARE**0.5 * level + (1 - _LEVEL_SHARE) ** 0.5 * own
        return np.asarray(1 / (1 + (1 - means) / means * np.exp(-spread * normal)))

    def of(self, draft: str) -> tuple[Beta, ...]:
        """One draft's, position 1 first."""
        index = self.drafts.index(draft)
        return tuple(map(Beta, self.a[index].tolist(), self.b[index].tolist()))


class HazardTable:
    """Evidence on hazards α[draft, class, position], discounted, with a prior that classes share."""

    def __init__(self, classes: Sequence[str], settings: PolicySettings) -> None:
        self._classes = tuple(classes)
        self._settings = settings
        self._rows: dict[str, int] = {}
        self._evidence: dict[Regime, Array] = {}

    def beliefs(self, regime: Regime, drafts: tuple[str, ...], probabilities: ClassProbabilities) -> Beliefs:
        """Return the beliefs on every draft's hazards for a prompt of uncertain class.

        The mixture Σ_k π_k Beta_k is matched in mean and variance by one Beta: doubt about the class widens it.
        """
        pi = self._weights(probabilities)
        rows = [self._row(draft) for draft in drafts]
        a, b = self._posterior(self._of(regime)[:, rows])  # each [D, K, J]
        total = a + b
        means = a / total
        mean = np.einsum("k,dkj->dj", pi, means)
        second = np.einsum("k,dkj->dj", pi, means * (1 - means) / (total + 1) + means * means)
        variance = np.maximum(second - mean * mean, _LEAST_VARIANCE)
        strength = np.maximum(mean * (1 - mean) / variance - 1, UNKNOWN_STRENGTH)
        return Beliefs(drafts, mean * strength, (1 - mean) * strength)

    def observe(self, regime: Regime, probabilities: ClassProbabilities, record: RoundRecord) -> None:
        """Credit a round to the classes by their probabilities; positions beyond the outcome are censored."""
        shown = np.array(outcomes(record, self._settings.max_gamma))  # [2, J]
        if not shown.any():
            return
        pi = self._weights(probabilities)[:, None]
        row = self._row(record.draft_model)
        cells = self._of(regime)[:, row]  # [2, K, J]
        cells *= self._settings.forgetting**pi
        cells += pi * shown[:, None]

    def export(self, versions: Mapping[str, str]) -> tuple[Cell, ...]:
        """Return a cell wherever there is evidence; `versions` maps drafts to the hashes of their weights."""
        return tuple(
            Cell(
                sampled=regime.sampled,
                coupled=regime.coupled,
                draft_model=draft,
                draft_version=versions.get(draft, ""),
                prompt_class=self._classes[k],
                position=j + 1,
                accepted=float(evidence[0, row, k, j]),
                rejected=float(evidence[1, row, k, j]),
            )
            for regime, evidence in self._evidence.items()
            for draft, row in self._rows.items()
            if row < evidence.shape[1]
            for k, j in np.argwhere(evidence[:, row].sum(0) > 0).tolist()
        )

    def add(self, cell: Cell, share: float) -> None:
        """Add a share of evidence from elsewhere; of an unknown class or position it is left out."""
        if cell.prompt_class not in self._classes or not 1 <= cell.position <= self._settings.max_gamma:
            return
        row, k = self._row(cell.draft_model), self._classes.index(cell.prompt_class)
        evidence = self._of(Regime(cell.sampled, cell.coupled))
        evidence[:, row, k, cell.position - 1] += share * cell.accepted, share * cell.rejected

    def _posterior(self, evidence: Array) -> tuple[Array, Array]:
        """Evidence [2, D, K, J] upon a prior that every class draws from all of them."""
        pooled = evidence.sum(2)
        seen = pooled.sum(0)
        mean = (pooled[0] + UNKNOWN_STRENGTH * UNKNOWN_MEAN) / (seen + UNKNOWN_STRENGTH)
        strength = np.minimum(self._agreement(evidence)[:, None], UNKNOWN_STRENGTH + seen)
        prior = strength * mean
        return evidence[0] + prior[:, None], evidence[1] + (strength - prior)[:, None]

    def _agreement(self, evidence: Array) -> Array:
        """κ, [D]: how alike a draft's classes are, by moments of their levels; evidence is [2, D, K, J].

        κ + 1 = m(1 − m) / v, with v the variance between classes less what their counts alone would show.
        """
        accepted, rejected = evidence.sum(3)  # each [D, K]
        counts = accepted + rejected
        total = np.maximum(counts.sum(1), _LEAST_VARIANCE)
        level = accepted.sum(1) / total
        chance = level * (1 - level)
        spread = (accepted - counts * level[:, None]) ** 2 / np.maximum(counts, _LEAST_VARIANCE)
        classes = (counts > _FEW_ROUNDS).sum(1)
        between = (spread.sum(1) - np.maximum(classes - 1, 0) * chance) / total
        kappa = np.clip(chance / np.maximum(between, _LEAST_VARIANCE) - 1, *self._settings.prior_bounds)
        return np.where(classes >= _ENOUGH_CLASSES, kappa, self._settings.prior_strength)

    def _row(self, draft: str) -> int:
        return self._rows.setdefault(draft, len(self._rows))

    def _of(self, regime: Regime) -> Array:
        """The regime's evidence, [2, D, K, J], with room for every draft that was named so far."""
        found = self._evidence.get(regime)
        have = 0 if found is None else found.shape[1]
        if found is None or have < len(self._rows):
            grown = np.zeros((2, len(self._rows), len(self._classes), self._settings.max_gamma))
            if found is not None:
                grown[:, :have] = found
            self._evidence[regime] = found = grown
        return found

    def _weights(self, probabilities: ClassProbabilities) -> Array:
        if probabilities.classes == self._classes:
            weights = np.array(probabilities.probabilities)
        else:
            by_name = dict(zip(probabilities.classes, probabilities.probabilities, strict=True))
            weights = np.array([by_name.get(name, 0.0) for name in self._classes])
        total = float(weights.sum())
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
