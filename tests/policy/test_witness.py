"""What a request says is credited to the class that it speaks like; the classifier's word is a prior."""

import numpy as np
import pytest

from specsched.policy.acceptance import HazardTable, Regime
from specsched.policy.contribution import Contribution
from specsched.policy.settings import PolicySettings
from specsched.policy.witness import Witness
from specsched.records import ClassProbabilities, Counterfactual, RoundRecord

CLASSES = ("chat", "code", "math")
TRUTH = {"chat": 0.9, "code": 0.2, "math": 0.55}
GREEDY = Regime(sampled=False, coupled=True)
SETTINGS = PolicySettings(max_gamma=4)
LEVELS, DOUBTS = np.array([[1.5, -1.5, 0.0]] * 2), np.full((2, 3), 0.1)


def said(*mistaken, rounds=24, requests=240, sure=0.6):
    """A table taught by requests of which those numbers, by sixes, are taken for the next class."""
    table, random = HazardTable(CLASSES, SETTINGS), np.random.default_rng(0)
    for number in range(requests):
        true = number % 3
        seen = (true + (number // 3 % 6 in mistaken)) % 3
        pi = ClassProbabilities(CLASSES, tuple(sure if k == seen else (1 - sure) / 2 for k in range(3)))
        for _ in range(rounds):
            accepted = int(np.cumprod(random.random(4) < TRUTH[CLASSES[true]]).sum())
            table.observe(GREEDY, pi, RoundRecord("d", 4, accepted, 1, 0.1, 0.1, planned_gamma=4), f"r{number}")
    return table


def firsts(table):
    certain = [ClassProbabilities.certain(name, CLASSES) for name in CLASSES]
    return [table.beliefs(GREEDY, ("d",), pi).means[0][0] for pi in certain]


def test_classes_stay_apart_although_a_third_is_misclassified():
    chat, code, math = firsts(said(2, 5))
    assert chat > 0.8
    assert code < 0.3 < math < 0.7


def test_cells_that_have_changed_places_come_back():
    """All of the first six requests are taken for another class; later the classifier is right two times in three."""
    chat, code, _ = firsts(said(0, 1, requests=480))
    assert chat > 0.8
    assert code < 0.45  # .6 where nothing speaks for the classifier


def witness(prior, accepted, rejected, drafts=1):
    found = Witness(np.array(prior))
    for row in range(drafts):
        found.contributions[row] = Contribution([0.5] * 4, 0.2, SETTINGS)
        found.contributions[row].observe([accepted] * 4, [rejected] * 4, accepted + rejected)
    return found


def test_the_likelier_class_is_the_one_that_it_speaks_like():
    easy, hard = witness((0.4, 0.4, 0.2), 9.0, 1.0), witness((0.4, 0.4, 0.2), 1.0, 9.0)
    for each in (easy, hard):
        change = each.reconsider(LEVELS, DOUBTS, np.zeros(3), SETTINGS)
        assert each.weights == pytest.approx(each.prior + change)
        assert each.weights.sum() == pytest.approx(1.0)
    assert easy.weights[0] > 5 * easy.weights[1]
    assert hard.weights[1] > 5 * hard.weights[0]


def test_two_drafts_tell_more_than_one_but_not_twice_as_much():
    """They share most of a request's ease."""
    odds = []
    for drafts in (1, 2):
        each = witness((0.4, 0.4, 0.2), 6.0, 4.0, drafts)
        each.reconsider(LEVELS, DOUBTS, np.zeros(3), SETTINGS)
        odds.append(np.log(each.weights[0] / each.weights[1]))
    assert odds[0] < odds[1] < 2 * odds[0]


def test_who_is_sure_of_a_class_is_believed():
    sure = witness((1.0, 0.0, 0.0), 1.0, 9.0)
    sure.reconsider(LEVELS, DOUBTS, np.zeros(3), SETTINGS)
    assert sure.weights.tolist() == [1.0, 0.0, 0.0]


def test_what_is_moved_is_neither_lost_nor_counted_twice():
    table, pi = HazardTable(CLASSES, SETTINGS), ClassProbabilities(CLASSES, (0.5, 0.3, 0.2))
    for _ in range(36):
        table.observe(GREEDY, pi, RoundRecord("d", 4, 4, 1, 0.1, 0.1, planned_gamma=4), "r")
    outcome = Counterfactual("e", 40.0, (30.0, 20.0, 15.0, 10.0), (10.0, 10.0, 5.0, 5.0))
    table.observe_counterfactual(GREEDY, pi, outcome, "r")
    alone = HazardTable(("one",), SETTINGS)
    for _ in range(36):
        record = RoundRecord("d", 4, 4, 1, 0.1, 0.1, planned_gamma=4)
        alone.observe(GREEDY, ClassProbabilities(("one",), (1.0,)), record, "r")
    alone.observe_counterfactual(GREEDY, ClassProbabilities(("one",), (1.0,)), outcome, "r")
    counts = [
        sum(cell.accepted + cell.rejected for cell in each.export({}) if cell.draft_model == "d")
        for each in (table, alone)
    ]
    assert counts[0] == pytest.approx(counts[1], rel=0.1)  # classes fade by their own rounds
