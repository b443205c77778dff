"""What one request says about its class: its rounds, made whole, corrected for its ease, and counted as what they are.

Three things are wrong with adding a request's rounds to its class as they come.

* They are not independent: all share the request's ease. Of I, the information in them, I / (1 + Iσ²) is about the
  class, with σ² the spread of requests; the rest is about the request.
* γ follows the ease, so deep positions are seen on easy prompts mostly. Half the requests with α = .5 at γ = 2 and half
  with .9 at γ = 8 read as S_8 = .28; it is .22 (POLICY.md, "Selection").
* Short lookaheads leave deep positions unseen, although the request's ease says much about them.

So a request is estimated by itself, σ(logit m_j + u) with its own counts upon that, and contributes what rounds of full
depth would have shown on it, as many as its weight says. Counts that come from rounds of full depth are added as they
are; where a class is made of unlike requests, Π of their means is the mean of S.
"""

import math
from collections.abc import Sequence

import numpy as np

from specsched.policy.beliefs import EDGE, Array
from specsched.policy.settings import PolicySettings

_OWN_STRENGTH = 0.5
"""Outcomes of its own from which a request's hazard at one position counts as much as what its ease says of it."""

_UNSEEN = 0.4
"""Weight of what is only inferred beside what was seen: at 1 a wrong guess about deep positions would feed itself."""


class Contribution:
    """One request with one draft: what it has put into its class so far, so that it can be put in anew."""

    __slots__ = ("_accepted", "_means", "_rejected", "_rounds", "_settings", "_variance", "given", "rounds")

    def __init__(self, means: Sequence[float], doubt: float, settings: PolicySettings) -> None:
        """Begin with what was believed of the request before its first round.

        Args:
            means: Hazards, position 1 first.
            doubt: Variance of that belief, in logits².
            settings: Numbers.
        """
        self._means = [min(max(m, EDGE), 1 - EDGE) for m in means]
        self._variance = settings.request_variance + doubt
        self._settings = settings
        self._accepted = [0.0] * len(self._means)
        self._rejected = [0.0] * len(self._means)
        self._rounds = 0.0
        self.rounds = 0
        """Rounds that were really played."""
        self.given: Array = np.zeros((2, len(self._means)))
        """Counts that its class has from it, [2, J]."""

    def observe(self, accepted: Sequence[float], rejected: Sequence[float], rounds: float = 1.0) -> Array:
        """Take in outcomes per position; returns the change of what is given, [2, J]."""
        for j, (hit, miss) in enumerate(zip(accepted, rejected, strict=True)):
            self._accepted[j] += hit
            self._rejected[j] += miss
        self._rounds += rounds
        self.rounds += 1
        before, self.given = self.given, np.array(self._whole_rounds())
        return self.given - before

    @property
    def surprise(self) -> float:
        """How far its outcomes lie from what was believed, in standard deviations."""
        told, information = self._told()
        return told / math.sqrt(information + information * information * self._variance + EDGE)

    @property
    def moved(self) -> tuple[float, float]:
        """How far its level lies from what was believed, in logits, by its outcomes alone, and the variance of that."""
        told, information = self._told()
        information = max(information, EDGE)
        return told / information, 1 / information

    def _told(self) -> tuple[float, float]:
        """Σ(y − m) and Σ m(1 − m) over its outcomes."""
        told = information = 0.0
        for mean, hits, misses in zip(self._means, self._accepted, self._rejected, strict=True):
            seen = hits + misses
            told += hits - seen * mean
            information += seen * mean * (1 - mean)
        return told, information

    def _hazards(self) -> list[float]:
        """Its own, by position: one Newton step in u, then its own counts upon that."""
        told, information = self._told()
        limit = self._settings.offset_limit
        odds = math.exp(max(-limit, min(limit, told / (information + 1 / self._variance))))
        hazards = []
        for mean, hits, misses in zip(self._means, self._accepted, self._rejected, strict=True):
            eased = mean * odds / (1 - mean + mean * odds)
            hazards.append((hits + _OWN_STRENGTH * eased) / (hits + misses + _OWN_STRENGTH))
        return hazards

    def _whole_rounds(self) -> tuple[list[float], list[float]]:
        """Outcomes of rounds of full depth on it, as many as its weight says."""
        hazards = self._hazards()
        information = sum(
            (hits + misses) * h * (1 - h)
            for h, hits, misses in zip(hazards, self._accepted, self._rejected, strict=True)
        )
        weight = 1 / (1 + information * self._settings.request_variance)
        accepted, rejected, reached = [], [], self._rounds
        for hazard, hits, misses in zip(hazards, self._accepted, self._rejected, strict=True):
            seen = min(hits + misses, reached)
            counts = weight * (seen + _UNSEEN * (reached - seen))
            accepted.append(counts * hazard)
            rejected.append(counts * (1 - hazard))
            reached *= hazard
        return accepted, rejected
