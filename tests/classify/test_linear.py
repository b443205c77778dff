import random
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from skops.io import dump

from specsched.bench.nonsense import nonsense
from specsched.classify.base import PROMPT_CLASSES
from specsched.classify.evaluate import doubt
from specsched.classify.features import BUCKETS
from specsched.classify.linear import LinearClassifier
from specsched.classify.weights import MAX_BYTES, Weights, load_weights, save_weights
from specsched.errors import PoolError
from specsched.pool.manifest import default_manifest, load_pool

REFERENCE = Path(__file__).parents[2] / "models" / "reference" / "classifier.skops"

EASY = {
    "chat": "Hi there! I had a long day and just want to talk a little.",
    "code": "Write a Python function that returns the longest word of a sentence, with unit tests.",
    "creative": "Write a short poem about an old lighthouse that falls in love with a ship.",
    "extraction": "List all dates and names from the text as JSON.\n\nOn 4 May Lena Berg met Paul Ortiz in Graz.",
    "math": "A box holds 12 pens. How many pens are in 7 boxes if 5 pens are missing?",
    "qa": "Why do volcanoes erupt?",
    "summarization": "Summarize the following article in two sentences.\n\nThe council met on Monday. It talked about "
    "the bridge for three hours. In the end it chose the cheaper plan, which keeps the old pillars.",
    "translation": "Translate into Spanish: The train leaves at noon.",
}
ODD = ("", "\0", "\ud800", "\udfff" * 3_000, "🦆" * 2_000, "word " * 200_000)


@pytest.fixture(scope="module")
def reference():
    return LinearClassifier.load(REFERENCE)


def random_weights(classes=PROMPT_CLASSES, buckets=BUCKETS):
    rng = np.random.default_rng(7)
    return Weights(classes, rng.normal(size=(buckets, len(classes))), rng.normal(size=len(classes)), 0.7, ("own",))


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_any_text_has_probabilities_that_sum_to_one(reference, text):
    answer = reference.classify(text)
    assert answer.classes == PROMPT_CLASSES
    assert sum(answer.probabilities) == pytest.approx(1)
    assert min(answer.probabilities) > 0


def test_a_blank_prompt_is_of_no_class(reference):
    assert set(reference.classify(" \n").probabilities) == {1 / 8}


def test_huge_scores_stay_probabilities():
    weights = random_weights()
    huge = Weights(weights.classes, weights.coefficients * 1e4, weights.intercepts, weights.temperature)
    assert sum(LinearClassifier(huge).classify("Hello there").probabilities) == pytest.approx(1)


def test_easy_prompts_are_classified(reference):
    hits = [reference.classify(text).best == prompt_class for prompt_class, text in EASY.items()]
    assert sum(hits) >= 6


def test_nonsense_leaves_it_in_doubt(reference):
    found = doubt(reference, nonsense(300, random.Random(0)))
    assert found.confidence <= 0.5
    assert found.entropy >= 2


def test_a_prompt_that_asks_for_two_things_is_less_sure(reference):
    both = doubt(reference, [f"{one}\n\n{other}" for one, other in permutations(EASY.values(), 2)])
    alone = doubt(reference, list(EASY.values()))
    assert both.confidence < alone.confidence - 0.05
    assert both.entropy > alone.entropy


def test_the_reference_file_is_small():
    assert REFERENCE.stat().st_size <= MAX_BYTES


def test_weights_survive_a_round_trip(tmp_path):
    weights, path = random_weights(), tmp_path / "new" / "classifier.skops"
    save_weights(weights, path)
    loaded, version = load_weights(path)
    assert (loaded.classes, loaded.temperature, loaded.sources) == (PROMPT_CLASSES, 0.7, ("own",))
    assert np.allclose(loaded.coefficients, weights.coefficients, rtol=1e-3, atol=1e-6)
    assert version == LinearClassifier.load(path).version
    assert len(version) == 12


def test_a_file_that_is_not_the_manifest_s_is_refused_before_it_is_read(tmp_path):
    named = load_pool(default_manifest()).classifier
    assert LinearClassifier.load(named.path, named.sha256).version == named.sha256[:12]
    text_file(tmp_path / "other.skops")
    with pytest.raises(PoolError, match=f"the manifest's classifier.sha256 says {named.sha256}"):
        LinearClassifier.load(tmp_path / "other.skops", named.sha256)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(PoolError, match="No such file") as caught:
        LinearClassifier.load(tmp_path / "none.skops")
    assert "\n" not in str(caught.value)


def truncated(path):
    path.write_bytes(REFERENCE.read_bytes()[:5_000])


def text_file(path):
    path.write_text("no weights", encoding="utf-8")


def too_large(path):
    path.write_bytes(bytes(MAX_BYTES + 1))


def foreign_type(path):
    dump({"classes": Path}, path)


def other_fields(path):
    dump({"classes": ["chat"]}, path)


def other_features(path):
    save_weights(random_weights(buckets=8), path)


@pytest.mark.parametrize("damage", [truncated, text_file, too_large, foreign_type, other_fields, other_features])
def test_a_damaged_file_is_one_line_that_names_it(tmp_path, damage):
    path = tmp_path / "classifier.skops"
    damage(path)
    with pytest.raises(PoolError, match=r"classifier\.skops: ") as caught:
        LinearClassifier.load(path)
    assert "\n" not in str(caught.value)
