"""What a row has left is what completions come to, not what its caller allows."""

import numpy as np
import pytest

from specsched.policy.endings import Endings


@pytest.mark.parametrize("limit", [20, 100, 1000])
def test_what_is_left_is_what_completions_come_to(limit):
    endings, random = Endings(), np.random.default_rng(0)
    lengths = random.geometric(1 / 80, 2_000)
    for length in lengths.tolist():
        endings.observe(min(length, limit), cut=length > limit)
    assert endings.expected(limit) == pytest.approx(np.minimum(lengths, limit).mean(), rel=0.15)


def test_completions_that_only_limits_cut_have_left_what_is_allowed():
    endings = Endings()
    for _ in range(2_000):
        endings.observe(64, cut=True)
    assert endings.expected(64) == pytest.approx(64, rel=0.02)


def test_more_is_never_left_than_is_allowed():
    left = [Endings().expected(remaining) for remaining in range(5000)]
    assert all(0 <= expected <= remaining for remaining, expected in enumerate(left))
    assert left == sorted(left)
