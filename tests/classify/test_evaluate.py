from pathlib import Path

import numpy as np
import pytest

from specsched.classify.base import PROMPT_CLASSES
from specsched.classify.evaluate import (
    MEAN,
    POOLED,
    Predictions,
    doubt,
    is_known,
    measure_latency,
    pooled,
    predict,
    scores,
)
from specsched.classify.examples import Example, ExampleError, held_out_examples
from specsched.classify.fake import FixedClassifier
from specsched.classify.linear import LinearClassifier

DATA = Path(__file__).parents[2].parent / "shared" / "data"
REFERENCE = Path(__file__).parents[2] / "models" / "reference" / "classifier.skops"


def predictions(laws, labels, sources):
    return Predictions(("a", "b"), np.array(laws), np.array(labels), np.array(sources))


def test_a_flat_classifier_is_calibrated_and_as_good_as_chance():
    examples = [Example(name, name, "own") for name in PROMPT_CLASSES]
    found = pooled(predict(FixedClassifier(), examples))
    assert found.accuracy == pytest.approx(1 / 8)
    assert found.ece == pytest.approx(0)


def test_sources_are_scored_apart_together_and_on_average():
    found = {
        score.source: score
        for score in scores(
            predictions([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]], [0, 1, 0, 1], ["x", "x", "x", "y"])
        )
    }
    assert (found["x"].accuracy, found["y"].accuracy) == (1, 0)
    assert (found[POOLED].accuracy, found[MEAN].accuracy) == (0.75, 0.5)
    assert found[POOLED].f1 == pytest.approx((2 * 2 / 5 + 2 * 1 / 3) / 2)
    assert (found[POOLED].ece, found[MEAN].ece) == (0.25, 0.5)


def test_one_data_set_has_several_names():
    assert is_known("brmson/dataset-factoid-webquestions", ("SGD", "webquestions"))
    assert not is_known("openai/human-eval", ("SGD", "webquestions"))


def test_a_class_that_the_classifier_lacks_is_named():
    with pytest.raises(ExampleError, match="knows no class gossip"):
        predict(FixedClassifier(), [Example("psst", "gossip", "own")])


def test_a_flat_law_is_all_doubt():
    found = doubt(FixedClassifier(), ["one", "two"])
    assert (found.confidence, found.entropy) == (pytest.approx(1 / 8), pytest.approx(3))


def test_latency_is_measured():
    latency = measure_latency(FixedClassifier(), [Example("Hi", "chat", "own")] * 20)
    assert 0 < latency.p50 <= latency.p99


def test_the_reference_holds_on_prompts_from_elsewhere():
    if not (DATA / "bench").is_dir():
        pytest.skip(f"no benchmark prompts in {DATA}")
    mtbench = [example for example in held_out_examples(DATA / "bench") if example.source == "lm-sys/FastChat"]
    assert pooled(predict(LinearClassifier.load(REFERENCE), mtbench)).accuracy >= 0.75
