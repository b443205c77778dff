"""Where drafts are weakest, by recorded rounds."""

import pytest

from specsched.errors import SetupError
from specsched.modelkit.refresh import refreshing
from specsched.modelkit.weakness import Weakness, weaknesses
from specsched.pool.manifest import ModelSpec, Pool
from specsched.records import ClassProbabilities, RoundRecord
from tests.helpers.acceptance import CLASSES, acceptance, decision


def rounds(count, prompt_class, draft, accepted, *, gamma=4, censored=False):
    of = decision(class_probabilities=ClassProbabilities.certain(prompt_class, CLASSES))
    played = RoundRecord(draft, gamma, accepted, 1, 0.01, 0.02, censored=censored)
    return [acceptance(number, of=of, round=played) for number in range(count)]


def test_classes_come_by_the_acceptance_of_their_best_draft():
    records = [
        *rounds(40, "chat", "general", 1),  # 1 of 2 judged
        *rounds(40, "chat", "code", 0),
        *rounds(40, "code", "general", 2),  # 2 of 3
        *rounds(40, "code", "code", 4),  # all
        *rounds(40, "chat", "ngram", 4),
    ]
    assert weaknesses(records, ["general", "code"], least_tried=40) == [
        Weakness("chat", "general", 0.5, 80),
        Weakness("code", "code", 1.0, 160),
    ]


def test_little_evidence_and_rounds_that_were_cut_short_count_for_nothing():
    few = rounds(10, "chat", "general", 0)
    cut = rounds(50, "code", "general", 2, censored=True)
    assert weaknesses([*few, *cut], ["general"], least_tried=40) == [Weakness("code", "general", 1.0, 100)]


def test_the_draft_of_the_weakest_class_is_refreshed_for_the_classes_where_it_leads(tmp_path):
    drafts = tuple(ModelSpec(name, "model", tmp_path / name) for name in ("general", "code"))
    pool = Pool(tmp_path / "pool.yaml", ModelSpec("big", "model", tmp_path), drafts, None)
    weak = [
        Weakness(c, d, a, 100) for c, d, a in (("qa", "general", 0.4), ("code", "code", 0.5), ("chat", "general", 0.6))
    ]
    spec, classes = refreshing(pool, weak, 3)
    assert (spec.id, classes) == ("general", ("qa", "chat"))
    assert refreshing(pool, weak, 2)[1] == ("qa",)
    with pytest.raises(SetupError, match="say too little"):
        refreshing(pool, [], 1)
