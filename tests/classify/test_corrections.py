"""Labels move the classifier within bounds, like prompts with it, and can be undone to the bit."""

import itertools
import random
from pathlib import Path

import numpy as np
import pytest

from specsched.classify.base import PROMPT_CLASSES
from specsched.classify.corrections import Bounds, CorrectedClassifier
from specsched.classify.features import extract
from specsched.classify.linear import LinearClassifier
from specsched.cli.wiring import make_classifier
from specsched.config.tree import Config
from specsched.pool.manifest import load_pool

REFERENCE = Path(__file__).parents[2] / "models" / "reference" / "classifier.skops"
BASE = LinearClassifier.load(REFERENCE)
THINGS = ("mill", "pump", "crane", "press", "lathe", "saw")
TICKETS = [
    f"Ticket {name}: the {thing} is down again, page the on-call" for name, thing in zip("abcdef", THINGS, strict=True)
]
LIKE = "Ticket z: the boiler is down again, page the on-call"
OTHERS = ("Why do volcanoes erupt?", "Write a poem about rain.", "Translate into French: good night", "What is 3 + 4?")
TOLD = "code"


class Clock:
    """Jumps a minute a call unless it is held."""

    def __init__(self, step=60.0):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def corrected(clock=None, **bounds):
    return CorrectedClassifier(BASE, Bounds(**bounds), clock or Clock())


def belief(classifier, text):
    return classifier.classify(text).probabilities[PROMPT_CLASSES.index(TOLD)]


def shift(classifier, text):
    """Largest move of a score, in nats."""
    features = extract(text)
    change = classifier.current.weights.coefficients - BASE.weights.coefficients
    moved = features.values @ change[features.buckets]
    return float(np.abs(moved).max()) / BASE.weights.temperature


def test_labels_carry_over_to_like_prompts_and_leave_others_alone():
    classifier = corrected()
    before = [classifier.classify(text) for text in OTHERS]
    assert belief(classifier, LIKE) < 0.1
    for tenant, text in itertools.product("abc", TICKETS):
        classifier.told(text, TOLD, tenant)
    assert classifier.classify(LIKE).best == TOLD
    for text, old in zip(OTHERS, before, strict=True):
        assert classifier.classify(text).best == old.best
        assert classifier.classify(text).probabilities == pytest.approx(old.probabilities, abs=0.1)


def test_nothing_moves_before_enough_labels_agree():
    classifier = corrected(agreeing_labels=3)
    classifier.told(LIKE, TOLD, "t")
    classifier.told(LIKE, "math", "t")
    classifier.told(LIKE, TOLD, "t")
    assert classifier.current is BASE
    classifier.told(LIKE, TOLD, "t")
    assert classifier.current is not BASE


def test_each_correction_has_its_own_version_and_equal_corrections_the_same():
    one, other = corrected(agreeing_labels=1), corrected(agreeing_labels=1)
    versions = [one.version]
    for text in TICKETS:
        one.told(text, TOLD, "t")
        other.told(text, TOLD, "somebody else")
        versions.append(one.version)
    assert len(set(versions)) == 1 + len(TICKETS)
    assert all(version.startswith(BASE.version) for version in versions)
    assert one.version == other.version


def test_a_flood_of_one_tenant_moves_no_score_beyond_its_bound():
    classifier = corrected(one_tenant=1.5)
    lie = "Why do volcanoes erupt?"
    for _ in range(2_000):
        classifier.told(lie, "code", "liar")
    moved = [shift(classifier, text) for text in (lie, *OTHERS, LIKE)]
    assert 0.5 < max(moved) <= 1.5 + 1e-4


def test_a_flood_of_many_tenants_moves_no_score_beyond_the_bound_of_all():
    classifier = corrected(all_tenants=2.0, one_tenant=1.5)
    for number in range(300):
        classifier.told("Why do volcanoes erupt?", "code", f"liar {number}")
    assert 1.0 < shift(classifier, "Why do volcanoes erupt?") <= 2.0 + 1e-4
    change = classifier.current.weights.coefficients - BASE.weights.coefficients
    assert float(np.linalg.norm(change)) * 3**0.5 / BASE.weights.temperature <= 2.0 + 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_random_labels_of_random_tenants_stay_within_the_bound(seed):
    rng, classifier = random.Random(seed), corrected(all_tenants=1.0, step=2.0, one_tenant=9.0)
    for _ in range(150):
        classifier.told(rng.choice((*OTHERS, *TICKETS)), rng.choice(PROMPT_CLASSES), rng.choice("abc"))
    assert classifier.current is not BASE
    assert max(shift(classifier, text) for text in (*OTHERS, LIKE)) <= 1.0 + 1e-4


def test_a_tenant_is_heard_so_often_a_minute_and_again_in_the_next():
    clock = Clock(step=0.0)
    classifier = corrected(clock, labels_per_minute=2, agreeing_labels=3)
    for _ in range(9):
        classifier.told(LIKE, TOLD, "t")
    assert classifier.current is BASE
    clock.now = 60.0
    classifier.told(LIKE, TOLD, "t")
    assert classifier.current is not BASE


def test_invented_tenants_are_not_heard_beyond_a_number():
    classifier = corrected(tenants=2, agreeing_labels=3)
    for number in range(50):
        classifier.told(LIKE, TOLD, f"t{number}")
    assert classifier.current is BASE


def test_rolling_back_restores_each_state_to_the_bit():
    classifier = corrected(agreeing_labels=1, undo=10)
    states = [(classifier.version, classifier.current.weights.coefficients.tobytes())]
    for text in TICKETS[:3]:
        classifier.told(text, TOLD, "t")
        states.append((classifier.version, classifier.current.weights.coefficients.tobytes()))
    for version, coefficients in reversed(states[:-1]):
        assert classifier.roll_back()
        assert (classifier.version, classifier.current.weights.coefficients.tobytes()) == (version, coefficients)
    assert not classifier.roll_back()


def test_a_reset_returns_to_the_base_however_long_ago_it_was():
    classifier = corrected(agreeing_labels=1, undo=1)
    for text in TICKETS:
        classifier.told(text, TOLD, "t")
    assert classifier.roll_back(everything=True)
    assert classifier.current is BASE
    assert not classifier.roll_back(everything=True)


def test_an_undone_flood_cannot_begin_anew():
    classifier = corrected(agreeing_labels=1, one_tenant=0.6)
    for _ in range(50):
        classifier.told(LIKE, TOLD, "liar")
    assert classifier.roll_back(everything=True)
    for _ in range(50):
        classifier.told(LIKE, TOLD, "liar")
    assert shift(classifier, LIKE) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(("text", "label"), [("", TOLD), (" \n", TOLD), (LIKE, "the policy's own class")])
def test_what_teaches_nothing_is_passed_over(text, label):
    classifier = corrected(agreeing_labels=1)
    classifier.told(text, label, "t")
    assert classifier.current is BASE


def test_a_call_in_another_thread_sees_one_version_or_the_next():
    """What `classify` works on is never written to: a state that was in force reads the same for ever."""
    classifier = corrected(agreeing_labels=1, undo=99)
    states = []
    for text, label in itertools.product(TICKETS, ("math", TOLD)):
        states.append((classifier.current, classifier.classify(LIKE)))
        classifier.told(text, label, "t")
    assert all(state.classify(LIKE) == answer for state, answer in states)
    assert len({state.version for state, _ in states}) == len(states)


def test_a_configuration_turns_it_on():
    pool = load_pool(REFERENCE.with_name("pool.yaml"))
    assert isinstance(make_classifier(Config(), pool), LinearClassifier)
    on = Config.model_validate({"classifier": {"online_correction": True}})
    assert isinstance(make_classifier(on, pool), CorrectedClassifier)
