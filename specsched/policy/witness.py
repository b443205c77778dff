"""What one request has said, draft by draft, and the classes that it is credited to.

The classifier's probabilities are a prior: it is wrong now and then, and a cell that is fed by strangers is nobody's.
How much the drafts hit says to which class a request is likely to belong, and what it said is moved there (Bayes).

Left alone that would feed itself: two cells that have changed places attract each other's requests for ever. But the
classifier is calibrated: over many requests, as much stays with the class that it names as it says. Where less does, it
is the cell that has gone astray, and the name counts for more until it has come back.
"""

from typing import TYPE_CHECKING

import numpy as np

from specsched.policy.beliefs import Array
from specsched.policy.settings import PolicySettings

if TYPE_CHECKING:
    from specsched.policy.contribution import Contribution

_RATE = 0.25
"""Logits by which a name counts for more, per request that is taken from it altogether."""


class Witness:
    """One request in one regime."""

    __slots__ = ("contributions", "prior", "weights")

    def __init__(self, prior: Array) -> None:
        """Begin with the classifier's word, [K]."""
        self.prior = prior
        self.weights = prior
        """What each class is credited with."""
        self.contributions: dict[int, Contribution] = {}
        """By the draft's row."""

    def reconsider(self, levels: Array, doubts: Array, leaning: Array, settings: PolicySettings) -> Array:
        """Weigh the classes anew; returns the change, [K].

        How far the request lies from what was believed of it is normal around where a class lies from there, with the
        spread of requests and the doubt about the class.

        Args:
            levels: Where classes lie beside their draft's profile, in logits, [D, K].
            doubts: How sure that is, in logits², [D, K].
            leaning: What the name of each class counts for beyond its probability, in logits, [K]; it is kept up here.
            settings: How far requests lie apart, and how much of that drafts share.
        """
        rows = list(self.contributions)
        moved, variance = np.array([each.moved for each in self.contributions.values()]).T  # each [n]
        classes = levels[rows] - (levels[rows] @ self.prior)[:, None]  # [n, K]
        own, shared = settings.request_variance, settings.request_variance * settings.offset_sharing
        spread = np.full((len(rows), len(rows)), shared) + np.diag(variance + own - shared)
        spreads = spread + doubts[rows].T[:, :, None] * np.eye(len(rows))  # [K, n, n]
        away = (moved[:, None] - classes).T[:, :, None]  # [K, n, 1]
        distance = (away * np.linalg.solve(spreads, away)).sum((1, 2))
        logs = -0.5 * (distance + np.linalg.slogdet(spreads)[1])
        named = self.prior.argmax()
        logs[named] += leaning[named]
        likely = self.prior * np.exp(logs - logs.max())
        before, self.weights = self.weights, likely / likely.sum()
        leaning[named] = max(0.0, leaning[named] + _RATE * (self.prior[named] - self.weights[named]))
        return np.asarray(self.weights - before)
