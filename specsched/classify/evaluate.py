"""How good a classifier is: per source, on sources that training never saw, and how long it takes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specsched.classify.base import Classifier
from specsched.classify.examples import Example

BINS = 10
TIMED_CHARACTERS, TIMED_CALLS, WARM_UP_CALLS = 2_000, 1_000, 50
UNSEEN, SEEN = "all unseen sources", "all seen sources"


@dataclass(frozen=True, slots=True)
class Score:
    """Quality on one set of prompts. `f1` is the mean over the classes that occur in it."""

    source: str
    seen: bool
    prompts: int
    accuracy: float
    f1: float
    ece: float
    """Expected calibration error over ten bins of confidence (arXiv 1706.04599, eq. 3)."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of one call on a prompt of 2,000 characters."""

    p50: float
    p99: float


def evaluate(classifier: Classifier, examples: Sequence[Example], trained_on: Sequence[str] = ()) -> list[Score]:
    """Score each source, then all that were in training and all that were not."""
    probabilities = np.array([classifier.classify(example.text).probabilities for example in examples])  # [N, K]
    labels = np.array([classifier.classes.index(example.prompt_class) for example in examples])
    sources = np.array([example.source for example in examples])
    known = {source: _is_known(source, trained_on) for source in np.unique(sources).tolist()}
    seen = np.array([known[example.source] for example in examples])
    groups = [(source, known[source], sources == source) for source in known]
    groups += [(SEEN, True, seen), (UNSEEN, False, ~seen)]
    return [score(name, is_seen, probabilities[rows], labels[rows]) for name, is_seen, rows in groups if rows.any()]


def score(source: str, seen: bool, probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Score:
    """Score probabilities (N, K) against labels (N,)."""
    guesses = probabilities.argmax(axis=1)
    return Score(
        source=source,
        seen=seen,
        prompts=len(labels),
        accuracy=float((guesses == labels).mean()),
        f1=float(np.mean([_f1(guesses == label, labels == label) for label in np.unique(labels)])),
        ece=_calibration_error(probabilities.max(axis=1), guesses == labels),
    )


def measure_latency(classifier: Classifier, examples: Sequence[Example], calls: int = TIMED_CALLS) -> Latency:
    """Time single calls on prompts cut, or repeated, to 2,000 characters."""
    texts = [(example.text + " ") * (TIMED_CHARACTERS // (len(example.text) + 1) + 1) for example in examples[:calls]]
    seconds = []
    for call in range(WARM_UP_CALLS + calls):
        text = texts[call % len(texts)][:TIMED_CHARACTERS]
        start = time.perf_counter()
        classifier.classify(text)
        seconds.append(time.perf_counter() - start)
    p50, p99 = np.percentile(seconds[WARM_UP_CALLS:], (50, 99)) * 1e3
    return Latency(float(p50), float(p99))


def _is_known(source: str, trained_on: Sequence[str]) -> bool:
    """One data set has several names: `webquestions`, `brmson/dataset-factoid-webquestions`."""
    return any(name in source for name in trained_on)


def _f1(guessed: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    return 2 * float((guessed & true).sum()) / float(guessed.sum() + true.sum())


def _calibration_error(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> float:
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, confidence, BINS) - np.bincount(bins, correct, BINS)
    return float(np.abs(gaps).sum() / len(correct))
