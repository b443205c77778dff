from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from specsched.engine.int8 import Int8Linear, int8_is_offered, packed_bytes, quantize_linears
from specsched.engine.model import LanguageModel
from tests.engine.test_greedy_identity import ARMS, PROMPTS, drafts_of
from tests.helpers.tiny import ARCHITECTURES, ScriptedController, engine_of, job, run, tiny_network

pytestmark = pytest.mark.skipif(not int8_is_offered(), reason="this PyTorch has no INT8 kernels for this CPU")


def layer(out_features: int = 96, in_features: int = 64, bias: bool = True) -> tuple[nn.Linear, Int8Linear]:
    torch.manual_seed(out_features)
    plain = nn.Linear(in_features, out_features, bias=bias)
    return plain, Int8Linear(plain.weight.detach(), plain.bias)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    rows=st.integers(1, 40),
    shape=st.sampled_from([(96, 64), (33, 17), (256, 48)]),
    spread=st.floats(0.01, 1e4),
    seed=st.integers(0, 2**20),
)
def test_a_row_is_bit_identical_whatever_its_batch(rows, shape, spread, seed):
    _, int8 = layer(*shape)
    torch.manual_seed(seed)
    x = torch.randn(rows, shape[1]) * torch.logspace(0, float(torch.tensor(spread).log10()), rows)[:, None]
    together = int8(x)
    assert all(torch.equal(int8(x[i : i + 1])[0], together[i]) for i in range(rows))
    order = torch.randperm(rows)
    assert torch.equal(int8(x[order]), together[order])


@pytest.mark.parametrize("bias", [True, False])
def test_it_is_close_to_the_float_layer(bias):
    plain, int8 = layer(bias=bias)
    x = torch.randn(3, 5, 64)
    error = (int8(x) - plain(x)).norm() / plain(x).norm()
    assert int8(x).shape == (3, 5, 96)
    assert error < 0.03


def test_full_scale_sums_do_not_saturate():
    wide = Int8Linear(torch.ones(8, 4096), None)
    assert wide(torch.ones(2, 4096))[0, 0].item() == pytest.approx(4096)


def test_zeros_stay_zero_and_what_is_no_number_stays_none():
    _, int8 = layer(bias=False)
    assert not int8(torch.zeros(2, 64)).any()
    x = torch.zeros(2, 64)
    x[0, 3] = torch.nan
    assert int8(x)[0].isnan().all()
    assert not int8(x)[1].any()


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_linear_layer_is_replaced_and_a_tied_embedding_stays(kind):
    network = tiny_network(kind, seed=4)
    if hasattr(network, "lm_head") and kind == "llama":
        network.lm_head.weight = network.model.embed_tokens.weight
    before = network.get_input_embeddings().weight.clone()
    quantize_linears(network)
    assert not any(isinstance(m, nn.Linear) or type(m).__name__ == "Conv1D" for m in network.modules())
    assert torch.equal(network.get_input_embeddings().weight, before)
    assert packed_bytes(network) > 0


@pytest.mark.parametrize("tied", [False, True])
def test_weights_are_counted_as_before(tied):
    network = tiny_network()
    network.config.tie_word_embeddings = tied
    if tied:
        network.lm_head.weight = network.model.embed_tokens.weight
    before = LanguageModel(deepcopy(network), "m", max_rows=1).num_parameters()
    quantize_linears(network)
    assert LanguageModel(network, "m", max_rows=1).num_parameters() == before


def test_batches_and_arms_agree_with_the_quantized_model_s_own_plain_decoding():
    """Whatever forward there is: the compiled one gives equal bits, the others' rounding turns no code here."""
    target = tiny_network("llama", seed=7)
    quantize_linears(target)
    drafts = drafts_of(tiny_network("llama", seed=7))
    plain = {str(i): run(engine_of(target), [job(p, max_tokens=24)])["r"].tokens for i, p in enumerate(PROMPTS)}
    restless = ScriptedController(lambda request, n: ARMS[(5 * n + int(request)) % len(ARMS)])
    jobs = [job(p, request_id=str(i), max_tokens=24) for i, p in enumerate(PROMPTS)]
    out = run(engine_of(target, drafts, restless), jobs)
    assert {name: each.tokens for name, each in out.items()} == plain
    assert sum(c.round.num_accepted for each in out.values() for c in each.chunks) > 0


def test_a_quantized_network_can_be_copied():
    network = tiny_network()
    quantize_linears(network)
    ids = torch.tensor([[1, 2, 3]])
    with torch.inference_mode():
        assert torch.equal(deepcopy(network)(ids).logits, network(ids).logits)
