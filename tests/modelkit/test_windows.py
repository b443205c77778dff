import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specsched.modelkit.windows import MAX_GAMMA, Offers, Round, hazards, model_offers, ngram_offers, play


def offers(bits: list[int]) -> Offers:
    ratios = np.asarray(bits, np.float64)
    return model_offers(ratios, ratios, np.random.default_rng(0))


def test_rounds_follow_the_matches():
    path = offers([1, 1, 0, 1, 0, 0, 1, 1, 1])
    assert list(play(path, 2)) == [Round(2, 2), Round(2, 1), Round(2, 0), Round(2, 2)]


@given(st.lists(st.integers(0, 1), min_size=1, max_size=40), st.integers(1, MAX_GAMMA))
def test_rounds_commit_the_path_exactly(bits, gamma):
    rounds = list(play(offers(bits), gamma))
    assert sum(one.accepted + 1 for one in rounds) == len(bits)
    assert all(one.accepted <= one.offered <= gamma for one in rounds)


def test_ngram_proposes_what_followed_before():
    path = ngram_offers(prompt=[1, 2, 3, 4, 5], completion=[9, 1, 2, 3, 4, 7])
    assert path.offered.tolist() == [0, 0, 0, 8, 8, 8]
    assert path.accepted.tolist() == [0, 0, 0, 2, 1, 0]
    assert path.acceptance.mean() == pytest.approx(2 / 6)


def test_hazards_count_only_what_was_reached():
    assert hazards([offers([1, 0, 1, 1, 0, 1])], gamma=3) == [1.0, 0.5, 0.0]
