"""The built-in classifier: one softmax over hashed n-grams."""

from pathlib import Path
from typing import Self

import numpy as np

from specsched.classify.features import Features, extract
from specsched.classify.weights import Weights, load_weights
from specsched.records import ClassProbabilities

DOUBT = 0.02
"""Share of the flat law in every answer: no class is ever ruled out."""


class LinearClassifier:
    """A linear model in two gathers: about half a millisecond for 2,000 characters."""

    __slots__ = ("version", "weights")

    def __init__(self, weights: Weights, version: str = "unsaved") -> None:
        self.weights = weights
        self.version = version

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a classifier's file.

        Raises:
            PoolError: missing, damaged, or made for other features.
        """
        return cls(*load_weights(path))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes it knows, in the order of its probabilities."""
        return self.weights.classes

    @property
    def sources(self) -> tuple[str, ...]:
        """The data sets that it was trained on."""
        return self.weights.sources

    def classify(self, text: str) -> ClassProbabilities:
        """Return π for any text; flat for one without words."""
        return ClassProbabilities(self.weights.classes, self.probabilities(extract(text)))

    def probabilities(self, features: Features) -> tuple[float, ...]:
        """Return π for a prompt's features."""
        weights = self.weights
        if not len(features.buckets):
            return (1.0 / len(weights.classes),) * len(weights.classes)
        scores = features.values @ weights.coefficients[features.buckets] + weights.intercepts  # [K]
        raised = np.exp((scores - scores.max()).astype(np.float64) / weights.temperature)
        mixed = (1 - DOUBT) * raised / raised.sum() + DOUBT / len(weights.classes)
        return tuple(mixed.tolist())
