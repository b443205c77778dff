"""Noise by position: the same bits everywhere, and good enough for statistics."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from specsched.engine.draw import draw
from specsched.engine.noise import Purpose, gumbel, uniform

CPU = torch.device("cpu")
PINNED_UNIFORM = 0.5549316894552674
PINNED_GUMBEL = [0.058424488554450066, -1.7830794039329856, -0.09948330439225436]
SEEDS = st.integers(-(2**63), 2**64 - 1)


@given(SEEDS, st.integers(0, 2**31), st.sampled_from(Purpose))
def test_a_number_in_the_unit_interval_for_any_key(seed: int, position: int, purpose: Purpose) -> None:
    assert 0.0 <= uniform(seed, position, purpose) < 1.0
    assert uniform(seed, position, purpose) == uniform(seed, position, purpose)


def test_the_bits_never_change() -> None:
    assert uniform(42, 7, Purpose.ACCEPT) == PINNED_UNIFORM
    torch.testing.assert_close(gumbel(42, 7, 3, CPU), torch.tensor(PINNED_GUMBEL, dtype=torch.float64))


def test_a_vector_is_the_head_of_a_longer_one() -> None:
    assert gumbel(1, 2, 1000, CPU)[:10].tolist() == gumbel(1, 2, 10, CPU).tolist()


def test_uniform_over_positions_seeds_and_purposes() -> None:
    keys = ([(1, i, Purpose.DRAFT) for i in range(4000)], [(i, 1, Purpose.DRAFT) for i in range(4000)])
    for group in keys:
        assert stats.kstest([uniform(*key) for key in group], "uniform").pvalue > 1e-3
    same_place = [[uniform(1, i, purpose) for i in range(4000)] for purpose in Purpose]
    assert np.abs(np.corrcoef(same_place) - np.eye(len(Purpose))).max() < 0.08


def test_gumbel_noise_has_its_law_and_neighbours_are_independent() -> None:
    here, there = gumbel(3, 10, 20_000, CPU).numpy(), gumbel(3, 11, 20_000, CPU).numpy()
    assert stats.kstest(here, "gumbel_r").pvalue > 1e-3
    assert abs(np.corrcoef(here, there)[0, 1]) < 0.03
    assert abs(np.corrcoef(here[1:], here[:-1])[0, 1]) < 0.03


def test_drawing_inverts_the_cumulative_sum() -> None:
    weights = torch.tensor([[0.0, 2.0, 0.0, 6.0, 0.0]]).repeat(5, 1)
    assert draw(weights, [0.0, 0.2, 0.25, 0.9, 1 - 2**-53]) == [1, 1, 3, 3, 3]
