"""Hazards are learnt from what a round shows, and from no more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specsched.policy.acceptance import HazardTable, Regime
from specsched.policy.beliefs import expected_tokens
from specsched.policy.outcomes import outcomes
from specsched.policy.settings import PolicySettings
from specsched.records import ClassProbabilities, RoundRecord

CLASSES = ("chat", "code")
GREEDY = Regime(sampled=False, coupled=True)
CHAT = ClassProbabilities.certain("chat", CLASSES)
CODE = ClassProbabilities.certain("code", CLASSES)


def round_of(gamma, accepted, *, planned=None, censored=False, overlaps=()):
    return RoundRecord("d", gamma, accepted, 1, 0.1, 0.1, censored, gamma if planned is None else planned, overlaps)


def means(table, probabilities=CHAT, regime=GREEDY, draft="d"):
    return table.beliefs(regime, (draft,), probabilities).means[0]


@pytest.mark.parametrize(
    ("record", "accepted", "rejected"),
    [
        (round_of(4, 2), [1, 1, 0, 0, 0], [0, 0, 1, 0, 0]),
        (round_of(4, 4), [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]),
        (round_of(4, 2, censored=True), [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]),
        (round_of(2, 2, planned=4), [1, 1, 0, 0, 0], [0, 0, 1, 0, 0]),  # it had nothing more to go by
        (round_of(0, 0, planned=4), [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]),
        (round_of(0, 0), [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]),  # plain
        (round_of(3, 1, overlaps=(0.9, 0.4)), [0.9, 0.4, 0, 0, 0], [0.1, 0.6, 0, 0, 0]),
        (round_of(9, 9), [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]),  # deeper than beliefs reach
    ],
)
def test_a_round_speaks_up_to_its_first_rejection(record, accepted, rejected):
    found = outcomes(record, 5)
    assert found[0] == pytest.approx(np.array(accepted, float))
    assert found[1] == pytest.approx(np.array(rejected, float))


def test_hazards_come_back_although_rounds_are_censored():
    truth = np.array([0.9, 0.7, 0.8, 0.6])
    random = np.random.default_rng(1)
    table = HazardTable(CLASSES, PolicySettings(max_gamma=4))
    for number in range(6000):
        gamma = int(random.integers(1, 5))
        accepted = int(np.cumprod(random.random(gamma) < truth[:gamma]).sum())
        table.observe(GREEDY, CHAT, round_of(gamma, accepted), f"request {number // 20}")
    assert means(table) == pytest.approx(truth, abs=0.06)


def test_deep_positions_that_only_easy_requests_reach_are_not_taken_for_everybody_s():
    """Half the requests accept .5 and are asked for 2 tokens, half .9 and for 8: S_8 is .22, plain counts say .28."""
    random, table = np.random.default_rng(0), HazardTable(CLASSES, PolicySettings())
    for request in range(400):
        hazard, gamma = ((0.5, 2), (0.9, 8))[request % 2]
        for _ in range(30):
            accepted = int(np.cumprod(random.random(gamma) < hazard).sum())
            table.observe(GREEDY, CHAT, round_of(gamma, accepted), f"request {request}")
    assert 0.19 < np.prod(means(table)) < 0.262


def test_the_rounds_of_one_request_count_for_less_than_as_many_requests():
    one, many = (HazardTable(CLASSES, PolicySettings(max_gamma=2)) for _ in range(2))
    for number in range(40):
        one.observe(GREEDY, CHAT, round_of(2, number % 3), "the same")
        many.observe(GREEDY, CHAT, round_of(2, number % 3), f"request {number}")
    told, better = (table.beliefs(GREEDY, ("d",), CHAT).of("d")[0] for table in (one, many))
    assert told.a + told.b < better.a + better.b
    assert sum(cell.accepted + cell.rejected for cell in one.export({}) if cell.position == 1) < 12


def test_overlaps_give_the_mean_of_coins_with_less_variance():
    random = np.random.default_rng(2)
    beta = 0.65
    by_coin, by_overlap = [], []
    for _ in range(40):
        coin, overlap = (HazardTable(CLASSES, PolicySettings(max_gamma=1)) for _ in range(2))
        for _ in range(50):
            hit = int(random.random() < beta)
            coin.observe(GREEDY, CHAT, round_of(1, hit))
            overlap.observe(GREEDY, CHAT, round_of(1, hit, overlaps=(beta,)))
        by_coin.append(means(coin)[0])
        by_overlap.append(means(overlap)[0])
    assert np.mean(by_overlap) == pytest.approx(np.mean(by_coin), abs=0.03)
    assert np.std(by_overlap) < np.std(by_coin) / 5


def test_a_class_without_rounds_believes_what_the_others_saw_but_less_firmly():
    table = HazardTable(CLASSES, PolicySettings(max_gamma=2))
    for _ in range(200):
        table.observe(GREEDY, CODE, round_of(2, 2))
    code, chat = (table.beliefs(GREEDY, ("d",), p).of("d")[0] for p in (CODE, CHAT))
    assert chat.mean > 0.9
    assert chat.a + chat.b < (code.a + code.b) / 5


def test_regimes_and_drafts_are_tables_of_their_own():
    table = HazardTable(CLASSES, PolicySettings(max_gamma=2))
    before = means(table)
    table.observe(Regime(sampled=True, coupled=False), CHAT, round_of(2, 0))
    assert means(table) == pytest.approx(before)
    table.observe(GREEDY, CHAT, round_of(2, 0))
    assert means(table, draft="other") == pytest.approx(before, abs=0.01)  # but for how easy the class may be
    assert means(table)[0] < before[0] - 0.02


def test_doubt_about_the_class_widens_the_belief():
    table = HazardTable(CLASSES, PolicySettings(max_gamma=1))
    for _ in range(300):
        table.observe(GREEDY, CODE, round_of(1, 1))
        table.observe(GREEDY, CHAT, round_of(1, 0))
    sure = table.beliefs(GREEDY, ("d",), CODE).of("d")[0]
    unsure = table.beliefs(GREEDY, ("d",), ClassProbabilities(CLASSES, (0.5, 0.5))).of("d")[0]
    assert unsure.mean == pytest.approx(0.5, abs=0.05)
    assert unsure.a + unsure.b < sure.a + sure.b


def test_what_was_learnt_is_forgotten_when_the_world_changes():
    table = HazardTable(CLASSES, PolicySettings(max_gamma=1, forgetting=0.99))
    for _ in range(1000):
        table.observe(GREEDY, CHAT, round_of(1, 1))
    for _ in range(300):
        table.observe(GREEDY, CHAT, round_of(1, 0))
    assert means(table)[0] < 0.15


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6), st.booleans()), max_size=60), st.floats(0, 1))
def test_beliefs_stay_proper_whatever_is_observed(rounds, weight):
    table = HazardTable(CLASSES, PolicySettings(max_gamma=5))
    pi = ClassProbabilities(CLASSES, (weight, 1 - weight))
    for gamma, accepted, censored in rounds:
        table.observe(GREEDY, pi, round_of(gamma, min(gamma, accepted), censored=censored))
    for belief in table.beliefs(GREEDY, ("d",), pi).of("d"):
        assert belief.a > 0
        assert belief.b > 0
        assert 0 < belief.mean < 1


def test_expected_tokens_is_one_plus_the_survival_so_far():
    assert expected_tokens(np.array([0.5, 0.4])) == pytest.approx(np.array([1.0, 1.5, 1.7]))


def test_classes_that_differ_believe_less_of_each_other():
    """κ by moments: a draft that is good in one class says little about the next."""
    random, classes = np.random.default_rng(0), tuple("abcdef")
    alike, unlike = (HazardTable(classes, PolicySettings(max_gamma=1)) for _ in range(2))
    for _ in range(400):
        for index, name in enumerate(classes[:-1]):
            pi = ClassProbabilities.certain(name, classes)
            alike.observe(GREEDY, pi, round_of(1, int(random.random() < 0.6)))
            unlike.observe(GREEDY, pi, round_of(1, int(random.random() < (0.9 if index % 2 else 0.2))))
    new = ClassProbabilities.certain("f", classes)
    firm, vague = (table.beliefs(GREEDY, ("d",), new).of("d")[0] for table in (alike, unlike))
    assert firm.a + firm.b > 18
    assert vague.a + vague.b < 6


def test_draws_follow_beliefs_and_positions_move_together():
    table = HazardTable(CLASSES, PolicySettings(max_gamma=3))
    for _ in range(60):
        table.observe(GREEDY, CHAT, round_of(3, 2))
    beliefs = table.beliefs(GREEDY, ("d",), CHAT)
    drawn = beliefs.draw(np.random.default_rng(0), 4000, 0.5)[:, 0]
    assert np.median(drawn, axis=0) == pytest.approx(beliefs.means[0], abs=0.03)
    assert np.corrcoef(drawn.T)[0, 1] > 0.6
