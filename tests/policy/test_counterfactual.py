"""Drafts that weren't played are judged without bias, and no more than once."""

from itertools import product

import numpy as np
import pytest

from specsched.policy.acceptance import HazardTable, Regime
from specsched.policy.counterfactual import Retraced
from specsched.policy.settings import PolicySettings
from specsched.records import ClassProbabilities, Counterfactual, RoundRecord

PI = ClassProbabilities(("chat",), (1.0,))
SAMPLED = Regime(sampled=True, coupled=False)
VOCABULARY, DEPTH = 3, 3


def counterfactual(draft, weights, positions):
    return Retraced.along(weights, positions).outcome(draft)


@pytest.fixture(scope="module")
def laws():
    """Prefix → (p, q): target and draft over a tiny vocabulary, different after every prefix."""
    random = np.random.default_rng(7)
    prefixes = [prefix for length in range(DEPTH) for prefix in product(range(VOCABULARY), repeat=length)]
    return {prefix: tuple(random.dirichlet(np.ones(VOCABULARY), 2)) for prefix in prefixes}


def true_survival(laws, prefix=()):
    """S_1 … S_J of a draft that proposes from q and is verified, by enumeration."""
    if len(prefix) == DEPTH:
        return np.zeros(0)
    p, q = laws[prefix]
    found = np.zeros(DEPTH - len(prefix))
    for token in range(VOCABULARY):
        accepted = min(p[token], q[token])  # q(x) · min(1, p(x) / q(x))
        found += accepted * np.concatenate(([1.0], true_survival(laws, (*prefix, token))))
    return found


def expected_survival(laws, weigh):
    """What an estimator says on the average over completions x ~ p, by enumeration."""
    found = np.zeros(DEPTH)
    for path in product(range(VOCABULARY), repeat=DEPTH):
        steps = [(laws[path[:j]], path[j]) for j in range(DEPTH)]
        chance = np.prod([p[token] for (p, _), token in steps])
        found += chance * np.array(weigh(steps))
    return found


def test_the_estimate_is_unbiased_in_exact_enumeration(laws):
    def ours(steps):
        weights = [min(1.0, q[token] / p[token]) for (p, q), token in steps]
        return counterfactual("d", weights, DEPTH).accepted

    def by_total_variation(steps):
        return np.cumprod([np.minimum(p, q).sum() for (p, q), _ in steps])

    truth = true_survival(laws)
    assert expected_survival(laws, ours) == pytest.approx(truth, abs=1e-12)
    assert abs(expected_survival(laws, by_total_variation)[-1] - truth[-1]) > 1e-3  # the planted fault


def test_match_bits_are_rounds_begun_at_every_place():
    outcome = counterfactual("ngram", [1, 1, 0, 1], 2)
    assert outcome == Counterfactual("ngram", 3.0, (2.0, 1.0), (1.0, 1.0))
    assert counterfactual("ngram", [1.0], 2).rounds == 0.0


def means(table):
    return table.beliefs(SAMPLED, ("d",), PI).means[0]


def test_an_outcome_that_is_reported_twice_counts_once():
    table = HazardTable(PI.classes, PolicySettings(max_gamma=2))
    outcome = counterfactual("d", [0.9] * 40, 2)
    for _ in range(3):
        table.observe_counterfactual(SAMPLED, PI, outcome, "request")
    once = table.export({})
    assert means(table)[0] > 0.65
    table.observe_counterfactual(SAMPLED, PI, outcome, "request")
    assert table.export({}) == once


def test_a_draft_that_was_played_is_not_judged_again():
    table = HazardTable(PI.classes, PolicySettings(max_gamma=2))
    table.observe(SAMPLED, PI, RoundRecord("d", 2, 2, 1, 0.1, 0.1, planned_gamma=2), "request")
    before = table.export({})
    table.observe_counterfactual(SAMPLED, PI, counterfactual("d", [0.1] * 40, 2), "request")
    assert table.export({}) == before


def test_rivals_are_learnt_without_being_played():
    table, random = HazardTable(PI.classes, PolicySettings(max_gamma=3)), np.random.default_rng(0)
    for request in range(60):
        bits = (random.random(60) < 0.8).astype(float)
        table.observe_counterfactual(SAMPLED, PI, counterfactual("d", bits.tolist(), 3), str(request))
    assert means(table) == pytest.approx(np.full(3, 0.8), abs=0.05)
