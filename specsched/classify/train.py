"""Labelled prompts → weights: multinomial logistic regression over hashed features, calibrated on unseen sources.

Guards against templates that give the class away: variants of every prompt (`augment`), wordings of our own
(`phrasebook`), and equal weight for each source of a class, whatever its size.
"""

import random
from collections import Counter
from collections.abc import Sequence

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
EPOCHS = 8
REGULARISATION = 1e-5

Matrix = NDArray[np.float64]


def train(examples: Sequence[Example], seed: int = 0, drawn_per_class: int = DRAWN_PER_CLASS) -> Weights:
    """Fit weights and the temperature of their softmax (arXiv 1706.04599). Equal seeds give equal weights."""
    enriched = _enriched(examples, seed, drawn_per_class)
    sources = tuple(sorted({example.source for example in enriched}))
    coefficients, intercepts = fit(enriched, seed)
    return Weights(PROMPT_CLASSES, coefficients, intercepts, _temperature(enriched, seed), sources)


def fit(examples: Sequence[Example], seed: int) -> tuple[Matrix, Matrix]:
    """Return coefficients (BUCKETS, K) and intercepts (K,); a class without an example gets none."""
    model = SGDClassifier(loss="log_loss", alpha=REGULARISATION, average=True, random_state=seed)
    features, labels, weights = matrix(examples), _labels(examples), _weights(examples)
    order = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        rows = order.permutation(len(examples))
        model.partial_fit(features[rows], labels[rows], range(len(PROMPT_CLASSES)), weights[rows])
    return model.coef_.T, model.intercept_


def matrix(examples: Sequence[Example]) -> csr_matrix:
    """Features of many prompts, (N, BUCKETS)."""
    rows = [extract(example.text) for example in examples]
    starts = np.cumsum([0, *(len(row.buckets) for row in rows)])
    buckets = np.concatenate([row.buckets for row in rows])
    return csr_matrix((np.concatenate([row.values for row in rows]), buckets, starts), (len(rows), BUCKETS))


def _enriched(examples: Sequence[Example], seed: int, drawn_per_class: int) -> list[Example]:
    """Examples, a variant of each, and wordings of our own with variants of those."""
    rng = random.Random(seed)
    drawn = Phrasebook.load().draw(drawn_per_class, Materials.of(examples), rng)
    plain = [*examples, *drawn]
    return plain + augmented(plain, rng)


def _labels(examples: Sequence[Example]) -> NDArray[np.int64]:
    return np.array([PROMPT_CLASSES.index(example.prompt_class) for example in examples])


def _weights(examples: Sequence[Example]) -> Matrix:
    """One weight per example: a source counts in its class by the root of its size, and each class alike."""
    sizes = Counter((example.prompt_class, example.source) for example in examples)
    roots = np.array([sizes[example.prompt_class, example.source] ** -0.5 for example in examples])
    labels = _labels(examples)
    totals = np.bincount(labels, roots, len(PROMPT_CLASSES))
    scaled: Matrix = roots / totals[labels] * len(examples) / len(set(labels))
    return scaled


def _temperature(examples: Sequence[Example], seed: int) -> float:
    """The softmax temperature under which sources that were held out are likeliest."""
    sources = sorted({example.source for example in examples} - {SOURCE})
    found = [_held_out(examples, set(sources[fold::FOLDS]), seed) for fold in range(min(FOLDS, len(sources)))]
    logits, labels, weights = (np.concatenate(parts) for parts in zip(*found, strict=True))

    def loss(log_temperature: float) -> float:
        chosen = log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(labels)), labels]
        return -float(weights @ chosen)

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 4.0), method="bounded").x))


def _held_out(examples: Sequence[Example], sources: set[str], seed: int) -> tuple[Matrix, NDArray[np.int64], Matrix]:
    """Logits (N, K), labels and weights of some sources' examples, by a model that never saw them."""
    unseen = [example for example in examples if example.source in sources]
    coefficients, intercepts = fit([example for example in examples if example.source not in sources], seed)
    return matrix(unseen) @ coefficients + intercepts, _labels(unseen), _weights(unseen)
