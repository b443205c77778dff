"""The traps that such policies are known to fall into (POLICY.md); more in the tests of the parts."""

import numpy as np
import pytest

from specsched.policy.acceptance import HazardTable, Regime
from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.base import DecisionContext, Observation
from specsched.policy.settings import PolicySettings
from specsched.records import ClassProbabilities, CostGrid, CostPoint, DraftCost, RoundRecord

PI = ClassProbabilities(("chat",), (1.0,))
GREEDY = Regime(sampled=False, coupled=True)


def played(random, draft, hazard, gamma):
    accepted = int(np.cumprod(random.random(gamma) < hazard).sum())
    return RoundRecord(draft, gamma, accepted, 1, 0.1, 0.1, planned_gamma=gamma)


def test_accepted_over_drafted_is_not_taken_for_a_hazard():
    """For α = .7 and γ = 5 it is .388; nor are censored positions taken for rejected ones."""
    random, table = np.random.default_rng(0), HazardTable(PI.classes, PolicySettings(max_gamma=5))
    records = [played(random, "d", 0.7, 5) for _ in range(1500)]
    for number, record in enumerate(records):
        table.observe(GREEDY, PI, record, str(number // 20))
    assert sum(r.num_accepted for r in records) / (5 * len(records)) == pytest.approx(0.388, abs=0.03)
    assert table.beliefs(GREEDY, ("d",), PI).means[0] == pytest.approx(np.full(5, 0.7), abs=0.06)


def test_a_round_is_counted_once():
    """Without spread between requests a request's rounds are independent, and evidence is what was seen."""
    table = HazardTable(PI.classes, PolicySettings(max_gamma=1, forgetting=1.0, request_variance=0.0))
    for number in range(100):
        table.observe(GREEDY, PI, RoundRecord("d", 1, number % 2, 1, 0.1, 0.1, planned_gamma=1), "one request")
    [cell] = table.export({})
    assert cell.accepted + cell.rejected == pytest.approx(100.0)
    assert cell.accepted == pytest.approx(50.0, abs=1.0)


def test_the_reward_is_goodput_and_not_accepted_length():
    """The slow draft's rounds are longer, 4.1 tokens against 2.8; the quick one's bring more tokens per second."""
    truth, random = {"slow": 0.9, "quick": 0.65}, np.random.default_rng(1)
    costs = CostGrid(
        1,
        tuple(CostPoint(n, 64, 1 + 0.02 * n) for n in range(1, 10)),
        tuple(DraftCost(name, 0.0, (CostPoint(1, 64, step),)) for name, step in (("slow", 0.9), ("quick", 0.03))),
    )
    policy = AdaptivePolicy(PolicySettings(), PI.classes, seed=2)
    context = DecisionContext(PI, sampled=False, coupled=True, drafts=("slow", "quick"), costs=costs)
    for request in range(60):
        for draft, hazard in truth.items():
            for _ in range(6):
                record = played(random, draft, hazard, 4)
                policy.observe(Observation(str(request), PI, sampled=False, coupled=True, round=record))
    plans = [policy.decide(context) for _ in range(40)]
    assert [plan.draft_model for plan in plans].count("quick") >= 38
