"""What `classify evaluate` measures: sources left out in turn, sources never seen, doubt, time and size."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specsched.classify.base import Classifier
    from specsched.classify.evaluate import Doubt, Predictions
    from specsched.classify.examples import Example
    from specsched.classify.linear import LinearClassifier
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Check, Report, Table

_ACCURACY_BAR, _F1_BAR, _ECE_BAR = 0.80, 0.75, 0.05
_NONSENSE_BAR = 0.5
_P50_BAR, _P99_BAR = 1e-3, 3e-3
_NONSENSE_TEXTS = 300
_TITLES = {
    "leave_one_out": "Sources left out of training, one by one",
    "other_sources": "Sources that training never saw",
    "own_sources": "Held-out prompts of sources that training saw",
}


def measure_classifier(path: Path, folders: Sequence[Path], seed: int, say: "Progress") -> "Report":
    """Evaluate a classifier's file on folders of labelled prompts.

    Where a folder has a train split, classifiers are trained without each of its sources: that is what to tune by.

    Raises:
        ExampleError, PoolError: one line for the operator.
    """
    from specsched.classify.evaluate import measure_latency
    from specsched.classify.examples import held_out_examples, training_examples
    from specsched.classify.linear import LinearClassifier
    from specsched.classify.weights import MAX_BYTES
    from specsched.modelkit.report import Check, Report

    classifier = LinearClassifier.load(path)
    held_out = [example for folder in folders for example in held_out_examples(folder)]
    training = [example for folder in folders for example in training_examples(folder)]
    predictions = _predictions(classifier, held_out, training, seed, say)
    say("timing")
    latency = measure_latency(classifier, held_out or training)
    doubts = _doubts(classifier)
    tables = {name: _quality(_TITLES[name], found) for name, found in predictions.items()}
    checks = [check for name, found in predictions.items() if name != "own_sources" for check in _checks(name, found)]
    checks += [
        Check("classifier_confidence_in_nonsense", doubts["nonsense"].confidence, _NONSENSE_BAR, at_most=True),
        Check("classifier_p50_seconds", latency.p50, _P50_BAR, at_most=True),
        Check("classifier_p99_seconds", latency.p99, _P99_BAR, at_most=True),
        Check("classifier_artefact_bytes", path.stat().st_size, MAX_BYTES, at_most=True),
    ]
    return Report({**tables, "doubt": _doubt_table(doubts)}, checks)


def _predictions(
    classifier: "LinearClassifier",
    held_out: "Sequence[Example]",
    training: "Sequence[Example]",
    seed: int,
    say: "Progress",
) -> "dict[str, Predictions]":
    """Of every kind of source that there are prompts of."""
    from specsched.classify.evaluate import is_known, predict
    from specsched.classify.train import leave_one_out

    unseen = [example for example in held_out if not is_known(example.source, classifier.sources)]
    seen = [example for example in held_out if is_known(example.source, classifier.sources)]
    found = {}
    if training:
        found["leave_one_out"] = leave_one_out(training, seed, say=say)
    if unseen:
        found["other_sources"] = predict(classifier, unseen)
    if seen:
        found["own_sources"] = predict(classifier, seen)
    return found


def _quality(title: str, predictions: "Predictions") -> "Table":
    from specsched.classify.evaluate import scores
    from specsched.modelkit.report import Table

    rows = [(one.source, one.prompts, one.accuracy, one.f1, one.ece) for one in scores(predictions)]
    return Table(title, ("source", "prompts", "accuracy", "macro_f1", "ece"), rows)


def _checks(name: str, predictions: "Predictions") -> "list[Check]":
    """Over all prompts together."""
    from specsched.classify.evaluate import pooled
    from specsched.modelkit.report import Check

    score = pooled(predictions)
    return [
        Check(f"classifier_accuracy_{name}", score.accuracy, _ACCURACY_BAR),
        Check(f"classifier_macro_f1_{name}", score.f1, _F1_BAR),
        Check(f"classifier_ece_{name}", score.ece, _ECE_BAR, at_most=True),
    ]


def _doubts(classifier: "Classifier") -> "dict[str, Doubt]":
    """How sure it is of the packaged prompts of one class, of those of two, and of no class."""
    import random

    from specsched.bench.nonsense import nonsense
    from specsched.bench.prompt_set import load_prompts
    from specsched.classify.evaluate import doubt

    prompts = load_prompts()
    return {
        "prompts of one class": doubt(classifier, [p.prompt for p in prompts if "mixed" not in p.tags]),
        "prompts of two classes": doubt(classifier, [p.prompt for p in prompts if "mixed" in p.tags]),
        "nonsense": doubt(classifier, nonsense(_NONSENSE_TEXTS, random.Random(0))),
    }


def _doubt_table(doubts: "Mapping[str, Doubt]") -> "Table":
    from specsched.modelkit.report import Table

    rows = [(name, one.confidence, one.entropy) for name, one in doubts.items()]
    return Table("How sure it is", ("of", "confidence", "entropy_bits"), rows)
