"""Examples as numbers, and the logistic regression that is fitted to them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import SGDClassifier

from specsched.classify.examples import Example
from specsched.classify.features import BUCKETS, extract
from specsched.classify.phrasebook import SOURCE

EPOCHS = 5
REGULARISATION = 5e-6
OWN_WORDINGS = 4.0
"""How much more a prompt of our own wording counts: they vary, where public sets have a few templates each."""

Floats = NDArray[np.float64]
Rows = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Table:
    """Features (N, BUCKETS) of N examples, their labels (N,) in `classes`, and their sources (N,)."""

    classes: tuple[str, ...]
    features: csr_matrix
    labels: NDArray[np.int64]
    sources: NDArray[np.str_]

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Self:
        """Extract the features of every example; this is most of the work."""
        classes = tuple(sorted({example.prompt_class for example in examples}))
        labels = np.array([classes.index(example.prompt_class) for example in examples])
        return cls(classes, _features(examples), labels, np.array([example.source for example in examples]))

    def __getitem__(self, rows: Rows) -> "Table":
        return Table(self.classes, self.features[rows], self.labels[rows], self.sources[rows])

    @property
    def weights(self) -> Floats:
        """Weights (N,), 1 on average: in a class a source counts by the root of its size; classes count alike."""
        pairs = list(zip(self.labels.tolist(), self.sources.tolist(), strict=True))
        sizes = Counter(pairs)
        roots = np.array([sizes[pair] ** -0.5 for pair in pairs])
        roots[self.sources == SOURCE] *= OWN_WORDINGS
        classes = len(np.unique(self.labels))
        scaled: Floats = roots / np.bincount(self.labels, roots)[self.labels] * len(pairs) / classes
        return scaled


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients (BUCKETS, K) and intercepts (K,)."""

    coefficients: Floats
    intercepts: Floats

    @classmethod
    def to(cls, table: Table, seed: int) -> Self:
        """Fit by averaged stochastic gradient descent, one class against the rest."""
        model = SGDClassifier(loss="log_loss", alpha=REGULARISATION, average=True, random_state=seed)
        for _ in range(EPOCHS):
            model.partial_fit(table.features, table.labels, range(len(table.classes)), table.weights)
        # Of two classes sklearn keeps one column, the second's.
        one = len(model.coef_) == 1
        coefficients = np.vstack((-model.coef_, model.coef_)) if one else model.coef_
        intercepts = np.concatenate((-model.intercept_, model.intercept_)) if one else model.intercept_
        return cls(coefficients.T, intercepts)

    def logits(self, features: csr_matrix) -> Floats:
        """Scores (N, K) of features (N, BUCKETS), before the temperature."""
        scores: Floats = features @ self.coefficients + self.intercepts
        return scores


def _features(examples: Sequence[Example]) -> csr_matrix:
    rows = [extract(example.text) for example in examples]
    starts = np.cumsum([0, *(len(row.buckets) for row in rows)])
    buckets = np.concatenate([row.buckets for row in rows])
    return csr_matrix((np.concatenate([row.values for row in rows]), buckets, starts), (len(rows), BUCKETS))
