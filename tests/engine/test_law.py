"""Shaping against transformers' own processors, and what is ours alone."""

import pytest
import torch

from specsched.engine.law import History, Span, shape_logits
from specsched.records import Sampling
from tests.helpers.laws import _shape
from tests.helpers.tiny import job

VOCAB = 40
PROMPT = (1, 2, 3, 3)


def history(sampling: Sampling, generated=(), *, stop=frozenset(), min_tokens=0) -> History:
    return History(
        job(PROMPT, sampling=sampling, generated_ids=tuple(generated), min_tokens=min_tokens),
        stop,
        VOCAB,
        torch.device("cpu"),
    )


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=0.5),
        Sampling(top_k=7),
        Sampling(top_p=0.6),
        Sampling(min_p=0.1),
        Sampling(temperature=0.7, top_k=20, top_p=0.9),
        Sampling(repetition_penalty=1.7),
        Sampling(presence_penalty=0.8, frequency_penalty=-0.4),
        Sampling(logit_bias={4: 3.0, 5: -100.0}),
    ],
)
@pytest.mark.parametrize("drafted", [(), (5, 5, 9)])
def test_every_position_of_a_round_is_shaped_as_transformers_would(sampling: Sampling, drafted) -> None:
    torch.manual_seed(0)
    generated = (7, 8, 8)
    logits = torch.randn(len(drafted) + 1, VOCAB) * 2
    shaped = shape_logits(logits, [Span(sampling, history(sampling, generated), len(logits), drafted)])
    for i in range(len(logits)):
        ids = torch.tensor([[*PROMPT, *generated, *drafted[:i]]])
        expected = _shape(logits[i : i + 1], ids, len(PROMPT), sampling)
        torch.testing.assert_close(shaped[i : i + 1].softmax(-1), expected.softmax(-1))


def test_drafting_one_more_token_shapes_only_the_next_position() -> None:
    sampling = Sampling(frequency_penalty=1.0)
    logits = torch.zeros(1, VOCAB)
    shaped = shape_logits(logits, [Span(sampling, history(sampling), 1, (5, 5, 6))])
    assert shaped[0, 5] == -2.0
    assert shaped[0, 6] == -1.0


def test_no_stop_token_before_min_tokens_also_inside_a_round() -> None:
    sampling = Sampling()
    rows = history(sampling, (7,), stop=frozenset({3}), min_tokens=3)
    shaped = shape_logits(torch.zeros(4, VOCAB), [Span(sampling, rows, 4, (1, 1, 1))])
    assert torch.isinf(shaped[:, 3]).tolist() == [True, True, False, False]
    rows.commit([1, 1])
    assert not rows.edits


def test_rows_of_different_sampling_are_shaped_together() -> None:
    torch.manual_seed(1)
    logits = torch.randn(5, VOCAB)
    first, second = Sampling(temperature=0.0), Sampling(temperature=2.0, top_k=3)
    spans = [Span(first, history(first), 2, (1,)), Span(second, history(second), 3, (1, 2))]
    shaped = shape_logits(logits, spans)
    torch.testing.assert_close(shaped[:2], logits[:2])
    assert (shaped[2:] > -torch.inf).sum(-1).tolist() == [3, 3, 3]


def test_ties_at_the_edge_of_top_k_keep_the_same_set_always() -> None:
    sampling = Sampling(top_k=2)
    shaped = shape_logits(torch.zeros(1, VOCAB), [Span(sampling, history(sampling), 1)])
    assert (shaped[0] > -torch.inf).nonzero()[:, 0].tolist() == [0, 1]
