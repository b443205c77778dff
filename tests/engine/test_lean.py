from copy import deepcopy

import pytest
import torch

from specsched.engine.decoders import by_lean, by_transformers
from specsched.engine.int8 import int8_is_offered, quantize_linears
from specsched.engine.lean import KINDS, knows
from specsched.engine.linear import PREPACKED_WEIGHTS, FloatLinear
from specsched.engine.model import LanguageModel
from tests.helpers.tiny import ARCHITECTURES, tiny_network


def logits_of(model: LanguageModel) -> list[torch.Tensor]:
    """Prefill of two ragged rows, a ragged round, a step of one row."""
    first, second = model.kv.open(), model.kv.open()
    out = [model.catch_up([first, second], [[1, 2, 3, 4, 5, 6, 7, 8, 9], [7, 8]])]
    ragged = model.forward([first, second], [[4, 5, 6], [9]])
    out += [ragged[0], ragged[1, :1], model.forward([first], [[11]])]
    return out


def both(network) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    ways = ((by_lean,), (by_transformers,))
    lean, plain = (LanguageModel(deepcopy(network), "m", max_rows=2, ways=way) for way in ways)
    return logits_of(lean), logits_of(plain)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tied", [False, True])
def test_it_computes_what_transformers_computes(kind, tied):
    network = tiny_network(kind, seed=3)
    if tied:
        network.lm_head.weight = network.model.embed_tokens.weight
    for weight in network.parameters():
        if weight.dim() == 1:  # gains of norms, biases: not the ones and zeros they begin with
            weight.data.add_(0.3 * torch.randn_like(weight))
    for ours, theirs in zip(*both(network), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=5e-5)


@pytest.mark.skipif(not int8_is_offered(), reason="this PyTorch has no INT8 kernels for this CPU")
def test_fused_int8_projections_are_the_separate_ones():
    network = tiny_network("qwen2", seed=3)
    quantize_linears(network)
    for ours, theirs in zip(*both(network), strict=True):
        assert (ours - theirs).abs().max() < 0.02 * theirs.abs().max()


def test_architectures_that_it_does_not_know_go_through_transformers():
    assert {kind for kind in ARCHITECTURES if knows(tiny_network(kind))} == set(KINDS)
    assert not knows(tiny_network().to(torch.bfloat16))


def test_memory_is_what_lies_there():
    network = tiny_network()
    assert LanguageModel(deepcopy(network), "m", max_rows=1, ways=(by_lean,)).memory_bytes() == pytest.approx(
        network.get_memory_footprint(), rel=0.05
    )


def test_a_large_layer_gives_one_token_and_many_the_same_but_for_rounding():
    torch.manual_seed(0)
    weight, bias = torch.randn(1024, PREPACKED_WEIGHTS // 1024) / 20, torch.randn(1024)
    gain, factor, x = torch.rand(weight.shape[1]), torch.rand(5, 1), torch.randn(5, weight.shape[1])
    read, added = FloatLinear(weight, bias, gain), FloatLinear(weight, bias)
    expected = torch.nn.functional.linear(x * gain * factor, weight, bias)
    one_by_one = torch.cat([read.scaled(x[i : i + 1], factor[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(read.scaled(x, factor), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(one_by_one, expected, rtol=1e-5, atol=1e-5)
    for rows in (x, x[:1]):
        to = torch.randn(len(rows), 1024)
        expected = to + torch.nn.functional.linear(rows, weight, bias)
        added.add(rows, to)
        torch.testing.assert_close(to, expected, rtol=1e-5, atol=1e-5)
