"""A cold start knows what an evaluation found; traffic outweighs it soon, and it is taken up once."""

import pytest

from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.base import Observation
from specsched.policy.memory import Cell
from specsched.policy.priors import PRIOR_COUNTS, PriorStore
from specsched.policy.settings import PolicySettings
from specsched.policy.sqlite import SqliteStore
from specsched.records import ClassProbabilities, RoundRecord
from tests.policy.rounds import context

PI = ClassProbabilities(("chat",), (1.0,))
VERSIONS = {"good": "1", "bad": "2"}


def cells(name, hazard, counts=500.0):
    common = {"sampled": False, "coupled": True, "draft_model": name, "draft_version": VERSIONS[name]}
    return [
        Cell(**common, prompt_class="chat", position=j, accepted=counts * hazard, rejected=counts * (1 - hazard))
        for j in range(1, 9)
    ]


PRIORS = [*cells("good", 0.9), *cells("bad", 0.1)]


@pytest.fixture
def store(tmp_path):
    return PriorStore(SqliteStore(tmp_path / "policy.db"), PRIORS)


def begun(store):
    policy = AdaptivePolicy(PolicySettings(), PI.classes, seed=0, versions=VERSIONS)
    policy.restore(store.load())
    return policy


def test_a_cold_start_prefers_what_the_evaluation_prefers(store):
    plans = [begun(store).decide(context()) for _ in range(10)]
    assert [plan.draft_model for plan in plans].count("good") >= 9


def test_a_prior_is_weak_and_traffic_outweighs_it(store):
    assert all(cell.accepted + cell.rejected == pytest.approx(PRIOR_COUNTS) for cell in store.load())
    policy = begun(store)
    for number in range(40):
        record = RoundRecord("bad", 8, 8 if number % 8 else 5, 1, 0.1, 1.0, planned_gamma=8)
        policy.observe(Observation(str(number), PI, sampled=False, coupled=True, round=record))
        record = RoundRecord("good", 8, 0, 1, 0.1, 1.0, planned_gamma=8)
        policy.observe(Observation(str(number), PI, sampled=False, coupled=True, round=record))
    assert policy.decide(context()).draft_model == "bad"


def test_it_is_taken_up_once_however_often_a_service_starts(store):
    for _ in range(3):
        store.save(begun(store).export())
    counts = {(cell.draft_model, cell.position): cell.accepted + cell.rejected for cell in store.load()}
    assert len(counts) == 16
    assert max(counts.values()) == pytest.approx(PRIOR_COUNTS)


def test_what_was_seen_stands(store):
    store.save(cells("good", 0.2, counts=50.0))
    kept = [cell for cell in store.load() if cell.draft_model == "good"]
    assert kept == cells("good", 0.2, counts=50.0)
    assert any(cell.draft_model == "bad" for cell in store.load())
