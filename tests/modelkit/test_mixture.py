"""Prompts to distil on: every source has its say, and what is held out is never learnt."""

import json
from collections import Counter

import pytest

from specsched.modelkit.corpus import read_records
from specsched.modelkit.mixture import Mixture, write_mixture


@pytest.fixture
def mixture(corpus, tmp_path):
    rows = [
        {"prompt": f"{source} asks for {i} of them", "category": category, "source": f"{source}:{i}", "subtype": source}
        for category in ("chat", "math")
        for source in ("ours", "theirs", "away")
        for i in range(12 if source == "ours" else 3)
    ]
    labelled = tmp_path / "labelled.jsonl"
    labelled.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Mixture(corpus, labelled, frozenset({"away"}), each=8, wordings=30, measured=10)


def test_sources_take_turns_and_held_out_ones_are_only_measured_on(mixture, tmp_path):
    counts = write_mixture(mixture, tmp_path / "out")
    assert set(counts) == {"chat", "math"}
    train, valid = (list(read_records(tmp_path / f"out/chat/{split}.jsonl")) for split in ("train", "valid"))
    assert (len(train), len(valid)) == counts["chat"]
    assert Counter(record.subtype for record in train)["theirs"] == 3
    assert Counter(record.subtype for record in train)["ours"] == 5
    assert sum(bool(record.completion) for record in train) == 8
    assert {record.subtype for record in valid} == {"away", "phrasebook"}
    assert "away" not in {record.subtype for record in train}
    assert not {record.prompt for record in train} & {record.prompt for record in valid}


def test_equal_seeds_mix_the_same(mixture, tmp_path):
    for name in ("one", "two"):
        write_mixture(mixture, tmp_path / name)
    one, two = ((tmp_path / name / "math/train.jsonl").read_text() for name in ("one", "two"))
    assert one == two
