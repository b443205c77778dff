from itertools import count

import pytest

from specsched.modelkit.measure import PinnedController, TokensDiffer, measure
from specsched.modelkit.traces import Trace
from specsched.policy.base import Arm
from tests.helpers.tiny import engine_of, perturbed, tiny_network

TRACES = {"chat": [Trace("chat", 0.0, (5, 6, 7), tuple(range(12)))]}


def test_side_by_side_counts_both_alike():
    network = tiny_network()
    controller = PinnedController()
    engine = engine_of(network, {"small": perturbed(network, 0.1)}, controller)
    ticks = count()
    found = measure(engine, controller, {"chat": Arm("small", 3)}, TRACES, clock=lambda: float(next(ticks)))
    assert found["chat"].arm == Arm("small", 3)
    assert found["chat"].over_plain == 1.0  # every run took one tick


def test_other_tokens_are_no_result():
    controller = PinnedController()
    engine = engine_of(tiny_network(), controller=controller)
    other = engine_of(tiny_network(seed=4), controller=controller)

    class Swapping:
        """Plays plain decoding on one engine and the arm on another."""

        def __getattr__(self, name):
            return getattr(engine if controller.arm.gamma == 0 else other, name)

    with pytest.raises(TokensDiffer, match="γ=2"):
        measure(Swapping(), controller, {"chat": Arm("ngram", 2)}, TRACES)
