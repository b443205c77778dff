"""A change is noticed, chance is not, and most of what was believed goes."""

import numpy as np

from specsched.policy.acceptance import HazardTable, Regime
from specsched.policy.alarm import Cusum, Unrest
from specsched.policy.settings import PolicySettings
from specsched.records import ClassProbabilities, RoundRecord

PI = ClassProbabilities(("chat",), (1.0,))
GREEDY = Regime(sampled=False, coupled=True)


def test_chance_rings_less_than_once_in_five_hundred_requests():
    """Expected: once in some 1,300; 40,000 draws, so about 30 rings, more than 60 by chance in fewer than 1 in 10⁵."""
    alarm, random = Cusum(0.5, 6.0), np.random.default_rng(0)
    assert 5 < sum(alarm.observe(surprise) for surprise in random.standard_normal(40_000)) < 60


def test_a_change_rings_soon_in_both_directions():
    for shift in (-2.0, 2.0):
        alarm, random = Cusum(0.5, 6.0), np.random.default_rng(1)
        rung = next(number for number in range(100) if alarm.observe(shift + random.standard_normal()))
        assert rung <= 10


def test_unrest_is_seldom_chance_also_where_requests_differ_more_than_assumed():
    for width in (1.0, 1.6):
        alarm, random = Unrest(0.5, 12.0), np.random.default_rng(2)
        assert sum(alarm.observe(width * surprise) for surprise in random.standard_normal(20_000)) < 40


def test_unrest_rings_soon_where_surprises_grow_in_both_directions():
    """Signs cancel: half of the classes became easier, half harder; no sum of surprises themselves rings as soon."""
    rung = []
    for seed in range(20):
        alarm, random = Unrest(0.5, 12.0), np.random.default_rng(seed)
        for usual in random.standard_normal(100):
            alarm.observe(usual)
        changed = 2.5 * random.standard_normal(30)
        rung.append(any(alarm.observe(surprise) for surprise in changed))
    assert sum(rung) >= 17


def play(table, random, level, requests, start=0, draft="d"):
    for request in range(start, start + requests):
        hazard = 1 / (1 + np.exp(-(level + 0.7 * random.standard_normal())))
        for _ in range(20):
            accepted = int(np.cumprod(random.random(4) < hazard).sum())
            record = RoundRecord(draft, 4, accepted, 1, 0.1, 0.1, planned_gamma=4)
            table.observe(GREEDY, PI, record, f"request {request}")


def test_a_draft_that_got_worse_is_believed_to_be_worse_within_a_dozen_requests():
    found = {}
    for name, threshold in (("watched", 8.0), ("unwatched", 1e9)):
        random = np.random.default_rng(2)
        table = HazardTable(PI.classes, PolicySettings(max_gamma=4, alarm_threshold=threshold, unrest_threshold=1e9))
        play(table, random, 1.0, 150)
        assert table.alarms <= 1
        before = table.alarms
        play(table, random, -1.8, 12, start=150)
        found[name] = table.beliefs(GREEDY, ("d",), PI).means[0, 0]
        assert (table.alarms > before) == (name == "watched")
    assert found["watched"] < found["unwatched"] - 0.1
    assert found["watched"] < 0.5


def test_where_one_draft_is_another_one_the_others_are_believed_less():
    found = {}
    for kept in (0.3, 1.0):
        settings = PolicySettings(max_gamma=4, alarm_threshold=1e9, alarm_keep_others=kept)
        table, random = HazardTable(PI.classes, settings), np.random.default_rng(0)
        play(table, random, -1.5, 60, draft="changed")
        play(table, random, 0.5, 60, start=60, draft="other")
        before = table.alarms
        play(table, random, 2.0, 10, start=120, draft="changed")
        assert table.alarms == before + 1
        beliefs = table.beliefs(GREEDY, ("other",), PI)
        found[kept] = (beliefs.a + beliefs.b)[0, 0]
    assert found[0.3] < 0.6 * found[1.0]
