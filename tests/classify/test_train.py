import random
from collections import Counter

import numpy as np
import pytest

from specsched.classify.augment import AMBIGUOUS, ambiguous, augmented
from specsched.classify.base import PROMPT_CLASSES
from specsched.classify.examples import Example, ExampleError
from specsched.classify.linear import LinearClassifier
from specsched.classify.phrasebook import Materials, Phrasebook
from specsched.classify.train import leave_one_out, train
from specsched.classify.weights import save_weights

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
    assert loaded.sources == ("left", "right")


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


def test_texts_that_teach_doubt_are_told_as_every_class_alike_often():
    found = ambiguous(tiny(), 3, random.Random(0))
    assert Counter(example.prompt_class for example in found) == dict.fromkeys(PROMPT_CLASSES, 6)
    assert {example.source for example in found} == {AMBIGUOUS}
    known = {word for example in tiny() for word in example.text.split()}
    scrambled, joined = found[::2], found[1::2]
    assert not all(known & set(example.text.split()) for example in scrambled)
    assert all("\n\n" in example.text for example in joined)


def test_each_source_is_predicted_by_weights_that_never_saw_it():
    words = {"left": ("lemon", "pepper"), "right": ("sugar", "lemon")}  # the same word, of another class elsewhere
    examples = [
        Example(f"{word} {i}", taste, source)
        for source, pair in words.items()
        for taste, word in zip(("sour", "sweet"), pair, strict=True)
        for i in range(8)
    ]
    found = leave_one_out(examples)
    assert found.classes == ("sour", "sweet")
    lemons = (found.sources == "right") & (found.labels == 1)
    assert sum(lemons) == 8
    assert set(found.probabilities[lemons].argmax(axis=1)) == {0}


def test_a_class_of_one_source_alone_cannot_be_predicted():
    examples = [Example(f"a {i}", f"class {i % 2}", source) for source in ("left", "right") for i in range(8)]
    lone = [Example(f"b {i}", "lone", "left") for i in range(8)]
    assert len(leave_one_out([*examples, *lone]).labels) == len(examples)


def test_a_lone_source_is_enough():
    found = train([Example(f"{word} {i}", word, "own") for word in ("salt", "pepper") for i in range(8)])
    assert (found.classes, found.sources) == (("pepper", "salt"), ("own",))


def test_one_class_is_nothing_to_tell_apart():
    with pytest.raises(ExampleError, match="at least two classes apart, not chat"):
        train([Example("Hi", "chat", "own")])
