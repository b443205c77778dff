"""No token is ever drawn from what is no number."""

import pytest
import torch

from specsched.engine.peaks import Peaks
from specsched.engine.soundness import UnsoundTarget
from tests.helpers.tiny import Collected, engine_of, job, tiny_network

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("logits", "sound"),
    [([1.0, 2.0], True), ([-INF, 2.0], True), ([NAN, 2.0], False), ([2.0, INF], False), ([-INF, -INF], False)],
)
def test_one_finite_best_logit_is_a_law(logits, sound):
    peaks = Peaks(torch.tensor([[[0.0, 1.0]], [logits]]))
    assert [peaks.sound(row, 1) for row in (0, 1)] == [True, sound]


def test_what_lies_beyond_a_row_s_own_positions_says_nothing_of_it():
    logits = torch.tensor([[[0.0, 1.0], [NAN, NAN]], [[0.0, 1.0], [NAN, 1.0]]])
    assert [Peaks(logits).sound(*row) for row in ((0, 1), (1, 2))] == [True, False]


def test_rows_without_numbers_are_given_up_and_the_engine_ends():
    network = tiny_network("llama")
    with torch.no_grad():
        network.get_input_embeddings().weight[7] = NAN
    engine = engine_of(network)
    out = {name: Collected() for name in ("good", "bad")}
    engine.submit(job([3, 4, 5], request_id="good", max_tokens=8), out["good"].chunks.append)
    engine.submit(job([3, 7, 5], request_id="bad", max_tokens=8), out["bad"].chunks.append)
    with pytest.raises(UnsoundTarget, match="1 of 2"):
        engine.step()
    assert "no numbers" in out["bad"].last.failure
    assert out["bad"].tokens == out["good"].tokens == []
    engine.check_integrity()
