import random
from pathlib import Path

import numpy as np
import pytest

from specsched.classify.augment import augmented
from specsched.classify.base import PROMPT_CLASSES
from specsched.classify.evaluate import SEEN, UNSEEN, evaluate, measure_latency, score
from specsched.classify.examples import Example, held_out_examples
from specsched.classify.fake import FixedClassifier
from specsched.classify.linear import LinearClassifier
from specsched.classify.phrasebook import Materials, Phrasebook
from specsched.classify.train import train
from specsched.classify.weights import save_weights

DATA = Path(__file__).parents[2].parent / "shared" / "data"
REFERENCE = Path(__file__).parents[2] / "models" / "reference" / "classifier.skops"

PROMPTS = {
    "chat": ("User: hello\nAssistant: hi\nUser: bye", "how was your day"),
    "code": ("Fix it:\n```python\nx = [\n```", "write a python function"),
    "creative": ("write a poem about rain", "tell a story of a fox"),
    "extraction": ("list all names in the text", "extract the dates as json"),
    "math": ("what is 3 + 4", "solve 2x = 10"),
    "qa": ("who was the first king", "why is grass green"),
    "summarization": ("summarize the text below", "give a tl;dr of this article"),
    "translation": ("translate into french: good night", "how do you say cat in german"),
}


def tiny():
    return [
        Example(text, prompt_class, source)
        for prompt_class, texts in PROMPTS.items()
        for text, source in zip(texts, ("left", "right"), strict=True)
    ]


@pytest.fixture(scope="module")
def weights():
    return train(tiny(), seed=3, drawn_per_class=40)


def test_a_tiny_set_is_learnt_and_survives_the_file(weights, tmp_path):
    save_weights(weights, tmp_path / "tiny.skops")
    loaded = LinearClassifier.load(tmp_path / "tiny.skops")
    assert [loaded.classify(example.text).best for example in tiny()] == [e.prompt_class for e in tiny()]
    assert loaded.sources == ("left", "phrasebook", "right")


def test_equal_seeds_give_equal_weights(weights):
    again = train(tiny(), seed=3, drawn_per_class=40)
    assert np.array_equal(again.coefficients, weights.coefficients)
    assert again.temperature == weights.temperature


def test_the_phrasebook_fills_every_slot_of_every_class():
    drawn = Phrasebook.load().draw(200, Materials.of(tiny()), random.Random(0))
    assert {example.prompt_class for example in drawn} == set(PROMPT_CLASSES)
    assert not [e.text for e in drawn if "<text>" in e.text or "<code>" in e.text or "<person>" in e.text]
    assert len({example.text for example in drawn}) > len(drawn) / 2


def test_variants_keep_class_and_source():
    for example, variant in zip(tiny(), augmented(tiny(), random.Random(0)), strict=True):
        assert (variant.prompt_class, variant.source) == (example.prompt_class, example.source)
        assert variant.text


def test_a_flat_classifier_is_calibrated_and_as_good_as_chance():
    flat = np.full((8, 8), 1 / 8)
    found = score("own", False, flat, np.arange(8))  # noqa: FBT003  # a record's fields, in order
    assert found.accuracy == pytest.approx(1 / 8)
    assert found.ece == pytest.approx(0)


def test_seen_and_unseen_sources_are_told_apart():
    found = {s.source: s for s in evaluate(FixedClassifier(), tiny(), trained_on=("left",))}
    assert found["left"].seen
    assert not found["right"].seen
    assert found[SEEN].prompts == found[UNSEEN].prompts == len(PROMPTS)


def test_latency_is_measured():
    latency = measure_latency(FixedClassifier(), tiny(), calls=20)
    assert 0 < latency.p50 <= latency.p99


def test_the_reference_holds_on_prompts_from_elsewhere():
    if not (DATA / "bench").is_dir():
        pytest.skip(f"no benchmark prompts in {DATA}")
    reference = LinearClassifier.load(REFERENCE)
    mtbench = [example for example in held_out_examples(DATA / "bench") if example.source == "lm-sys/FastChat"]
    found = evaluate(reference, mtbench, reference.sources)[-1]
    assert found.source == UNSEEN
    assert found.accuracy >= 0.7
