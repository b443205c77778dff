from itertools import count

import pytest

from specsched.bench.overhead import round_overhead
from specsched.records import Sampling


@pytest.mark.parametrize("gamma", [0, 2])
def test_rounds_alone_are_timed(gamma):
    ticks = count()
    assert round_overhead(2, gamma, Sampling(), lambda: float(next(ticks)), rounds=3) == 1
    assert next(ticks) == 6
