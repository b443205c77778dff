"""Labelled prompts → weights: multinomial logistic regression over hashed features, calibrated on unseen sources.

Guards against templates that give the class away: variants of every prompt (`augment`), wordings of our own
(`phrasebook`), and equal weight for each source of a class, whatever its size.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix
from scipy.special import log_softmax
from sklearn.linear_model import SGDClassifier

from specsched.classify.augment import augmented
from specsched.classify.base import PROMPT_CLASSES
from specsched.classify.examples import Example
from specsched.classify.features import BUCKETS, extract
from specsched.classify.phrasebook import SOURCE, Materials, Phrasebook
from specsched.classify.weights import Weights

DRAWN_PER_CLASS = 3_000
FOLDS = 4
EPOCHS = 4
REGULARISATION = 1e-5

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Table:
    """Examples as numbers: features (N, BUCKETS), labels (N,), weights (N,) and sources (N,)."""

    features: csr_matrix
    labels: Labels
    weights: Floats
    sources: NDArray[np.str_]

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Self:
        """Extract the features of every example; this is most of the work."""
        labels = np.array([PROMPT_CLASSES.index(example.prompt_class) for example in examples])
        sources = np.array([example.source for example in examples])
        return cls(_features(examples), labels, _balance(labels, sources), sources)

    def __getitem__(self, rows: NDArray[np.bool_]) -> "Table":
        labels, sources = self.labels[rows], self.sources[rows]
        return Table(self.features[rows], labels, _balance(labels, sources), sources)


def train(examples: Sequence[Example], seed: int = 0, drawn_per_class: int = DRAWN_PER_CLASS) -> Weights:
    """Fit weights and the temperature of their softmax (arXiv 1706.04599). Equal seeds give equal weights."""
    table = Table.of(_enriched(examples, seed, drawn_per_class))
    coefficients, intercepts = _fit(table, seed)
    sources = tuple(np.unique(table.sources).tolist())
    return Weights(PROMPT_CLASSES, coefficients, intercepts, _temperature(table, seed), sources)


def train_without(examples: Sequence[Example], seed: int = 0) -> dict[str, tuple[int, float]]:
    """Leave one source out: source → its size, and the accuracy on it of weights that never saw it."""
    table = Table.of(_enriched(examples, seed, DRAWN_PER_CLASS))
    found = {}
    for source in sorted({example.source for example in examples}):
        logits, unseen = _held_out(table, table.sources == source, seed)
        found[source] = len(unseen.labels), float((logits.argmax(axis=1) == unseen.labels).mean())
    return found


def _enriched(examples: Sequence[Example], seed: int, drawn_per_class: int) -> list[Example]:
    """Examples, wordings of our own, and a variant of each."""
    rng = random.Random(seed)
    plain = [*examples, *Phrasebook.load().draw(drawn_per_class, Materials.of(examples), rng)]
    return plain + augmented(plain, rng)


def _features(examples: Sequence[Example]) -> csr_matrix:
    rows = [extract(example.text) for example in examples]
    starts = np.cumsum([0, *(len(row.buckets) for row in rows)])
    buckets = np.concatenate([row.buckets for row in rows])
    return csr_matrix((np.concatenate([row.values for row in rows]), buckets, starts), (len(rows), BUCKETS))


def _balance(labels: Labels, sources: NDArray[np.str_]) -> Floats:
    """Weights (N,), 1 on average: in a class a source counts by the root of its size; classes count alike."""
    pairs = list(zip(labels.tolist(), sources.tolist(), strict=True))
    sizes = Counter(pairs)
    roots = np.array([sizes[pair] ** -0.5 for pair in pairs])
    scaled: Floats = roots / np.bincount(labels, roots)[labels] * len(labels) / len(np.unique(labels))
    return scaled


def _fit(table: Table, seed: int) -> tuple[Floats, Floats]:
    """Return coefficients (BUCKETS, K) and intercepts (K,)."""
    model = SGDClassifier(loss="log_loss", alpha=REGULARISATION, average=True, random_state=seed)
    for _ in range(EPOCHS):
        model.partial_fit(table.features, table.labels, range(len(PROMPT_CLASSES)), table.weights)
    return model.coef_.T, model.intercept_


def _temperature(table: Table, seed: int) -> float:
    """The softmax temperature under which sources that were held out are likeliest."""
    sources = sorted(set(table.sources.tolist()) - {SOURCE})
    folds = [np.isin(table.sources, sources[fold::FOLDS]) for fold in range(min(FOLDS, len(sources)))]
    found = [_held_out(table, fold, seed) for fold in folds]

    def loss(log_temperature: float) -> float:
        return sum(_cross_entropy(logits / np.exp(log_temperature), unseen) for logits, unseen in found)

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 4.0), method="bounded").x))


def _held_out(table: Table, rows: NDArray[np.bool_], seed: int) -> tuple[Floats, Table]:
    """Logits (N, K) of some rows, by weights that never saw their sources."""
    unseen = table[rows]
    coefficients, intercepts = _fit(table[~rows], seed)
    return unseen.features @ coefficients + intercepts, unseen


def _cross_entropy(logits: Floats, table: Table) -> float:
    return -float(table.weights @ log_softmax(logits, axis=1)[np.arange(len(table.labels)), table.labels])
