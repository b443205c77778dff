"""How good a classifier is: per source, over all, when in doubt, and how long it takes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specsched.classify.base import Classifier
from specsched.classify.examples import Example, ExampleError

BINS = 10
TIMED_CHARACTERS, TIMED_PROMPTS, TIMED_ROUNDS, WARM_UP_CALLS = 2_000, 1_000, 3, 50
POOLED, MEAN = "all prompts", "mean of sources"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Probabilities (N, K) of N prompts, their labels (N,) in `classes`, and their sources (N,)."""

    classes: tuple[str, ...]
    probabilities: Floats
    labels: NDArray[np.int64]
    sources: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Score:
    """Quality on one set of prompts. `f1` is the mean over the classes that occur in it."""

    source: str
    prompts: int
    accuracy: float
    f1: float
    ece: float
    """Expected calibration error over ten bins of confidence (arXiv 1706.04599, eq. 3)."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """How sure a classifier is of some prompts, on average."""

    confidence: float
    """Probability of the class that it takes a prompt for."""
    entropy: float
    """Bits; log2 K says nothing."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of one call on a prompt of 2,000 characters."""

    p50: float
    p99: float


def predict(classifier: Classifier, examples: Sequence[Example]) -> Predictions:
    """Classify each example.

    Raises:
        ExampleError: an example's class is none of the classifier's.
    """
    unknown = sorted({example.prompt_class for example in examples} - set(classifier.classes))
    if unknown:
        raise ExampleError(f"the classifier knows no class {', '.join(unknown)}")
    answers = [classifier.classify(example.text).probabilities for example in examples]
    return Predictions(
        classifier.classes,
        np.array(answers),
        np.array([classifier.classes.index(example.prompt_class) for example in examples]),
        np.array([example.source for example in examples]),
    )


def scores(predictions: Predictions) -> list[Score]:
    """Score each source, then all prompts together, then the mean of the sources."""
    sources = predictions.sources
    each = [_score(source, predictions, sources == source) for source in np.unique(sources).tolist()]
    accuracy, f1, ece = np.mean([(one.accuracy, one.f1, one.ece) for one in each], axis=0).tolist()
    return [*each, pooled(predictions), Score(MEAN, len(sources), accuracy, f1, ece)]


def pooled(predictions: Predictions) -> Score:
    """Score all prompts together, whatever their source."""
    return _score(POOLED, predictions, np.ones(len(predictions.labels), bool))


def doubt(classifier: Classifier, texts: Sequence[str]) -> Doubt:
    """Say how sure a classifier is of some texts."""
    laws = np.array([classifier.classify(text).probabilities for text in texts])  # [N, K]
    entropies = -np.sum(laws * np.log2(np.maximum(laws, np.finfo(np.float64).tiny)), axis=1)
    return Doubt(float(laws.max(axis=1).mean()), float(entropies.mean()))


def is_known(source: str, trained_on: Sequence[str]) -> bool:
    """One data set has several names: `webquestions`, `brmson/dataset-factoid-webquestions`."""
    return any(name in source for name in trained_on)


def measure_latency(classifier: Classifier, examples: Sequence[Example], prompts: int = TIMED_PROMPTS) -> Latency:
    """Time single calls on prompts cut, or repeated, to 2,000 characters.

    Each prompt counts with the fastest of three calls that lie far apart: what differs between prompts is the
    classifier's, what differs between calls the machine's.
    """
    texts = [(example.text + " ") * (TIMED_CHARACTERS // (len(example.text) + 1) + 1) for example in examples[:prompts]]
    texts = [text[:TIMED_CHARACTERS] for text in texts]
    for text in texts[:WARM_UP_CALLS]:
        classifier.classify(text)
    rounds = [[_seconds(classifier, text) for text in texts] for _ in range(TIMED_ROUNDS)]
    p50, p99 = np.percentile(np.min(rounds, axis=0), (50, 99)).tolist()
    return Latency(p50, p99)


def _seconds(classifier: Classifier, text: str) -> float:
    start = time.perf_counter()
    classifier.classify(text)
    return time.perf_counter() - start


def _score(source: str, predictions: Predictions, rows: NDArray[np.bool_]) -> Score:
    probabilities, labels = predictions.probabilities[rows], predictions.labels[rows]
    guesses = probabilities.argmax(axis=1)
    return Score(
        source=source,
        prompts=len(labels),
        accuracy=float((guesses == labels).mean()),
        f1=float(np.mean([_f1(guesses == label, labels == label) for label in np.unique(labels)])),
        ece=_calibration_error(probabilities.max(axis=1), guesses == labels),
    )


def _f1(guessed: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    return 2 * float((guessed & true).sum()) / float(guessed.sum() + true.sum())


def _calibration_error(confidence: Floats, correct: NDArray[np.bool_]) -> float:
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, confidence, BINS) - np.bincount(bins, correct, BINS)
    return float(np.abs(gaps).sum() / len(correct))
