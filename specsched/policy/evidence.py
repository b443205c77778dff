"""Evidence on the hazards of one regime: counts per draft, class and position, and their sums, kept up to date."""

from collections.abc import Sequence

import numpy as np

from specsched.policy.beliefs import EDGE, Array
from specsched.policy.settings import PolicySettings

_ROUNDS_PER_FADING = 16.0
"""Rounds of a class after which its evidence is discounted, all at once."""

_ROUNDS_PER_SUM = 16
"""Rounds after which sums are brought up to date, off the path of decisions."""

_FEW = 32
"""One round in so many is a few."""

_PROFILE_STRENGTH = 4.0
"""Pseudo-counts with which a draft's positions start from its level."""

_RISE = 0.3
"""Hazards rise by so much times ln j where nothing is known: .71 → .88 over 16 positions is .4 (POLICY.md)."""

_UNKNOWN_VARIANCE = 2.0
"""Of a draft's level in logits², before anybody has seen it."""

_EASE_VARIANCE = 0.15
"""Classes are easy or hard for all drafts alike, in logits²."""

_CELL_STRENGTH = 8.0
"""Pseudo-counts with which a position starts from the level of its draft and class."""

_FARTHEST = 2.5
"""A class lies no further from its draft's mean, in logits: one Newton step goes too far out there."""

_LEAST = 1e-12
_SOME_INFORMATION = 1.0
_ENOUGH_CLASSES = 3
"""Classes with some information, from which on their spread says something."""


class Evidence:
    """Counts of one regime, [2, D, K, J], accepted and rejected; rows are drafts and grow as they are named.

    Discounts are applied to all drafts of a class alike: one that isn't played is known less and less, and is looked at
    again.
    """

    def __init__(self, classes: int, settings: PolicySettings) -> None:
        self._settings = settings
        self._rise = _RISE * np.log(np.arange(1, settings.max_gamma + 1))
        self._rounds = np.zeros(classes)
        self._stale: set[int] = set()
        self._seen = 0
        self._unsummed = 0
        self.counts: Array = np.zeros((2, 0, classes, settings.max_gamma))
        self.profiles: Array = np.zeros((0, settings.max_gamma))
        """A draft's hazards over all classes, in logits, [D, J]."""
        self.surprise: Array = np.zeros((0, classes))
        """Σ (accepted − n·m) against the draft's profile m, [D, K]."""
        self.information: Array = np.zeros((0, classes))
        """Σ n·m(1 − m), [D, K]: of how far a class lies from its draft's profile, in logits⁻²."""
        self.spread: Array = np.zeros(0)
        """τ², how far a draft's classes lie apart, in logits², [D]."""
        self.doubt: Array = np.zeros(0)
        """Variance of a draft's level, in logits², [D]."""
        self.levels: Array = np.zeros((0, classes))
        """Where classes lie beside their draft's profile, in logits, [D, K]."""
        self.eased: Array = np.zeros((0, classes))
        """Standard deviation that a level has from how easy the class may be for all drafts, in logits, [D, K]."""
        self.alone: Array = np.zeros((0, classes))
        """What no other draft shares of the variance of a level, in logits², [D, K]."""
        self.doubts: Array = np.zeros((0, classes))
        """How sure these levels are, variances in logits², [D, K]."""
        self.leaning: Array = np.zeros(classes)
        """What the classifier's word counts for beyond its probability, by the class that it names, in logits, [K]."""
        self.means: Array = np.zeros((classes, 0))
        """Expected hazards, [K, D · J]: laid out to be mixed by class probabilities."""
        self.squares: Array = np.zeros((classes, 0))
        """Expected squares of hazards, [K, D · J]."""

    def grow(self, drafts: int) -> None:
        """Make room for so many drafts."""
        have = self.counts.shape[1]
        if drafts <= have:
            return
        wider = np.zeros((2, drafts, *self.counts.shape[2:]))
        wider[:, :have] = self.counts
        self.counts = wider
        for name in ("profiles", "surprise", "information", "spread", "doubt"):
            known = getattr(self, name)
            setattr(self, name, np.concatenate((known, np.zeros((drafts - have, *known.shape[1:])))))
        self._stale.update(range(have, drafts))
        self._seen = 0  # early again

    def add(self, row: int, weights: Array, change: Array) -> None:
        """Add a change of counts, [2, J], to the classes of one draft by weights, [K]."""
        cells = self.counts[:, row]
        cells += weights[:, None] * change[:, None]
        np.maximum(cells, 0.0, out=cells)  # what is taken back may have faded meanwhile
        self._stale.add(row)

    def scale(self, row: int, k: int, share: float) -> None:
        """Keep a share of what is known of one draft in one class."""
        self.counts[:, row, k] *= share
        self._stale.add(row)

    def age(self, weights: Array) -> None:
        """Let a round pass, credited to the classes by weights."""
        self._rounds += weights
        self._unsummed += 1
        self._seen += 1
        if self._unsummed >= _ROUNDS_PER_SUM:
            self.refresh()
        if self._rounds.max() >= _ROUNDS_PER_FADING:
            self.counts *= (self._settings.forgetting**self._rounds)[:, None]
            self._rounds[:] = 0.0
            self._stale.update(range(self.counts.shape[1]))

    def refresh(self) -> None:
        """Bring the sums up to date."""
        if self._stale:
            self._sum_up()
            self._unsummed = 0

    def refresh_if_late(self) -> None:
        """Bring them up to date where the rounds since the last time are more than a few of all that count.

        A decision seldom finds anything to do: once there is much evidence, `age` has done it.
        """
        if self._unsummed * _FEW >= self._seen:
            self.refresh()

    def covariance(self, rows: Sequence[int], pi: Array) -> Array:
        """What is not known of drafts' levels where the class is π, in logits², [d, d].

        Drafts share that the class may be another one, and how easy a class is.
        """
        beside, eased = self.levels[rows], self.eased[rows]
        beside -= (beside @ pi)[:, None]
        shared: Array = (beside * pi) @ beside.T
        shared += (eased * pi) @ eased.T
        shared.ravel()[:: len(rows) + 1] += self.alone[rows] @ pi
        return shared

    def _sum_up(self) -> None:
        everything = len(self._stale) == self.counts.shape[1]
        rows = slice(None) if everything else sorted(self._stale)
        self._stale.clear()
        accepted, rejected = self.counts[0, rows], self.counts[1, rows]  # [d, K, J]
        seen = accepted + rejected
        profile = self._profile(accepted.sum(1), seen.sum(1))
        means = 1 / (1 + np.exp(-profile))
        variance = means * (1 - means)
        surprise = accepted.sum(2) - np.einsum("dkj,dj->dk", seen, means)
        information = np.einsum("dkj,dj->dk", seen, variance)
        spread = self._spread(surprise, information, variance[:, 0])
        independent = (information / (1 + information * spread[:, None])).sum(1)
        self.profiles[rows], self.surprise[rows], self.information[rows] = profile, surprise, information
        self.spread[rows] = spread
        self.doubt[rows] = 1 / (independent + 1 / _UNKNOWN_VARIANCE)
        self._believe()

    def _believe(self) -> None:
        """Hazard = profile of the draft + ease of the class + what is particular about the two, in logits.

        Each part is as sure as its evidence, and what is particular about a position wins where it was seen often.
        """
        self._level()
        odds = np.exp(self.profiles[:, None] + self.levels[:, :, None])  # [D, K, J]
        means = (self.counts[0] + _CELL_STRENGTH * odds / (1 + odds)) / (self.counts.sum(0) + _CELL_STRENGTH)
        means = np.minimum(np.maximum(means, EDGE), 1 - EDGE)
        squares = self.doubts[:, :, None] * (means * (1 - means)) ** 2 + means * means
        classes = means.shape[1]
        self.means = np.ascontiguousarray(means.swapaxes(0, 1)).reshape(classes, -1)
        self.squares = np.ascontiguousarray(squares.swapaxes(0, 1)).reshape(classes, -1)

    def _level(self) -> None:
        """Find where classes lie beside their draft's profile, and how sure that is."""
        spread = self.spread[:, None]
        own = 1 / (1 + self.information * spread)  # what a draft's own evidence leaves open
        ease_doubt = 1 / ((self.information * own).sum(0) + 1 / _EASE_VARIANCE)  # [K]
        ease = ease_doubt * (self.surprise * own).sum(0)
        rest = spread * own  # variance of what is particular
        level = ease + rest * (self.surprise - self.information * ease)
        self.levels = np.minimum(np.maximum(level, -_FARTHEST), _FARTHEST)
        self.eased = own * np.sqrt(ease_doubt)
        self.alone = rest + own * own * self.doubt[:, None]
        self.doubts = self.alone + self.eased**2

    def _profile(self, accepted: Array, seen: Array) -> Array:
        """Hazards over all classes, [d, J], in logits: each position's own counts upon the draft's level."""
        unknown = self._settings.unknown_strength
        level = (accepted.sum(1) + unknown * self._settings.unknown_mean) / (seen.sum(1) + unknown)
        rising = (level / (1 - level))[:, None] * np.exp(self._rise)
        guess = rising / (1 + rising)
        means = (accepted + _PROFILE_STRENGTH * guess) / (seen + _PROFILE_STRENGTH)
        means = np.minimum(np.maximum(means, _LEAST), 1 - _LEAST)
        return np.asarray(np.log(means / (1 - means)))

    def _spread(self, surprise: Array, information: Array, variance: Array) -> Array:
        """τ², [d], by moments over classes (DerSimonian & Laird 1986): what differs beyond what chance would show.

        It stands for κ, the pseudo-counts with which a class starts from its draft: τ² = 1 / κm(1 − m).
        """
        told = information > _SOME_INFORMATION
        weights = information * told
        total = weights.sum(1)
        mean = (surprise * told).sum(1) / np.maximum(total, _LEAST)
        deviation = surprise / np.maximum(information, _LEAST) - mean[:, None]
        excess = (weights * deviation**2).sum(1) - told.sum(1) + 1
        scale = total - (weights**2).sum(1) / np.maximum(total, _LEAST)
        found = excess / np.maximum(scale, _LEAST)
        weakest, strongest = self._settings.prior_bounds
        bounded = np.minimum(np.maximum(found, 1 / (strongest * variance)), 1 / (weakest * variance))
        return np.where(told.sum(1) >= _ENOUGH_CLASSES, bounded, 1 / (self._settings.prior_strength * variance))
