"""One tenant's traffic moves what all share by no more than its cap."""

import pytest

from specsched.policy.acceptance import HazardTable, Regime
from specsched.policy.settings import PolicySettings
from specsched.records import ClassProbabilities, RoundRecord

PI = ClassProbabilities(("chat",), (1.0,))
GREEDY = Regime(sampled=False, coupled=True)
CAP = 100.0


def send(table, tenant, accepted, requests):
    for request in range(requests):
        for _ in range(5):
            record = RoundRecord("d", 2, accepted, 1, 0.1, 0.1, planned_gamma=2)
            table.observe(GREEDY, PI, record, f"{tenant} {request}", tenant)


def counts(table):
    return sum(cell.accepted + cell.rejected for cell in table.export({}) if cell.position == 1)


def mean(table):
    return table.beliefs(GREEDY, ("d",), PI).means[0, 0]


def table_of(others):
    table = HazardTable(PI.classes, PolicySettings(max_gamma=2, tenant_cap=CAP, alarm_threshold=1e9))
    for name in others:
        send(table, name, 1, 20)
    return table


def test_a_flood_stops_at_the_cap():
    table = table_of(())
    send(table, "flood", 0, 600)
    assert 0.5 * CAP < counts(table) <= CAP + 1


def test_a_flood_does_not_outvote_the_others():
    found = {}
    for tenant in ("flood", ""):  # without tenants there is no cap
        table = table_of("abcdef")
        before = mean(table)
        send(table, tenant, 0, 600)
        found[tenant] = before - mean(table)
    assert found["flood"] < 0.6 * found[""]


def test_few_requests_count_in_full():
    named, nameless = (table_of(()) for _ in range(2))
    send(named, "a", 1, 2)
    send(nameless, "", 1, 2)
    assert counts(named) == pytest.approx(counts(nameless), rel=0.1)
