"""The compiled forward: what it computes, and that a row's bits are its own."""

from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specsched.engine.decoders import by_lean, by_transformers
from specsched.engine.fused.decoder import fused_decoder
from specsched.engine.int8 import int8_is_offered, quantize_linears
from specsched.engine.kv import KVRow
from specsched.engine.kv.blocks import BlockKV
from specsched.engine.kv.rectangles import RectangularKV
from specsched.engine.model import LanguageModel
from tests.helpers.tiny import ARCHITECTURES, tiny_network

pytest.importorskip("numba")

WIDE = {"head_dim": 32}


def network_of(kind: str, form: str, seed: int = 3):
    """A network whose linear layers are float32, INT8, or float32 that bfloat16 holds."""
    network = tiny_network(kind, seed=seed, **WIDE)
    for weight in network.parameters():
        if weight.dim() == 1:  # gains of norms, biases: not the ones and zeros they begin with
            weight.data.add_(0.3 * torch.randn_like(weight))
        elif form == "halves":
            weight.data.copy_(weight.bfloat16())
    if form == "codes":
        quantize_linears(network)
    return network


FORMS = ["singles", "halves", pytest.param("codes", marks=pytest.mark.skipif(not int8_is_offered(), reason="no INT8"))]
MODELS = {form: LanguageModel(network_of("llama", form), form, max_rows=8) for form in ("singles", "halves", "codes")}


def fresh(model: LanguageModel, count: int) -> list[KVRow]:
    """So many empty rows, and no others."""
    for row in reversed(model.kv.open_rows):
        model.kv.close(row)
    return [model.kv.open() for _ in range(count)]


def logits_of(model: LanguageModel) -> list[torch.Tensor]:
    """Prefill of two ragged rows, a ragged round, a step of one row."""
    first, second = model.kv.open(), model.kv.open()
    out = [model.catch_up([first, second], [[1, 2, 3, 4, 5, 6, 7, 8, 9] * 5, [7, 8]])]
    ragged = model.forward([first, second], [[4, 5, 6], [9]])
    out += [ragged[0], ragged[1, :1], model.forward([first], [[11]])]
    return out


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("form", ["singles", "halves"])
def test_it_computes_what_transformers_computes(kind, form):
    network = network_of(kind, form)
    fused = LanguageModel(deepcopy(network), "m", max_rows=2)
    assert fused.forward_kind == "fused"
    plain = LanguageModel(network, "m", max_rows=2, ways=(by_transformers,))
    for ours, theirs in zip(logits_of(fused), logits_of(plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(not int8_is_offered(), reason="no INT8")
@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_codes_of_eight_bits_are_nearer_to_floats_than_those_of_seven(kind):
    coded, network = network_of(kind, "codes"), network_of(kind, "singles")
    fused, lean = (LanguageModel(deepcopy(coded), "m", max_rows=2, ways=(way,)) for way in (fused_decoder, by_lean))
    truth = logits_of(LanguageModel(network, "m", max_rows=2, ways=(by_transformers,)))
    errors = [
        sum(float((ours - theirs).norm() / theirs.norm()) for ours, theirs in zip(logits_of(model), truth, strict=True))
        for model in (fused, lean)
    ]
    assert errors[0] < errors[1] < 1


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_row_s_logits_are_the_same_bits_however_it_is_cut_and_whoever_is_beside_it(form, data):
    model = MODELS[form]
    text = data.draw(st.lists(st.integers(0, 63), min_size=2, max_size=70))
    (alone,) = fresh(model, 1)
    expected = model.forward([alone], [text])[0]  # [q, V]
    rows = fresh(model, data.draw(st.integers(1, 8)))
    place = data.draw(st.integers(0, len(rows) - 1))
    for i, row in enumerate(rows):  # the others begin elsewhere
        if i != place:
            row.length = len(model.forward([row], [[7 * i % 64] * data.draw(st.integers(1, 40))])[0])
    got = []
    while len(got) < len(text):
        width = data.draw(st.integers(1, 17))
        new = [[(11 * i + j) % 64 for j in range(width)] for i in range(len(rows))]
        new[place] = text[len(got) : len(got) + width]
        got += [*model.forward(rows, new)[place, : len(new[place])]]
        for row, tokens in zip(rows, new, strict=True):
            row.length += len(tokens)
    assert torch.equal(torch.stack(got), expected)


@pytest.mark.parametrize("form", FORMS)
def test_the_last_column_is_the_same_bits_and_what_is_no_number_stays_none(form):
    model = MODELS[form]
    (row,) = fresh(model, 1)
    whole = model.forward([row], [[5, 6, 7]])
    assert torch.equal(model.forward([row], [[5, 6, 7]], keep_last=True), whole[:, -1:])
    broken = network_of("llama", form)
    broken.model.layers[1].post_attention_layernorm.weight.data[3] = torch.nan
    model = LanguageModel(broken, "m", max_rows=1)
    assert model.forward([model.kv.open()], [[5]]).isnan().all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lag", [3, 530])
def test_going_on_alone_names_what_going_on_step_by_step_names(form, lag):
    model = MODELS[form]
    texts = [[5, 6, 7], [9], [(7 * i) % 61 for i in range(lag)]]
    rows = fresh(model, 3)
    columns = [model.catch_up(rows, texts).argmax(-1)]
    while len(columns) < 5:
        columns.append(model.step(rows, columns[-1]).argmax(-1))
    rows = fresh(model, 3)
    assert model.follow(rows, texts, 5) == torch.stack(columns, 1).tolist()
    assert [row.length for row in rows] == [len(text) for text in texts]


@torch.inference_mode()  # as the engine does
def test_rows_move_and_heads_are_shared_as_before():
    model = MODELS["singles"]
    first, second = fresh(model, 2)
    text = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4]
    model.catch_up([first, second], [[1, 2, 3], text])
    expected = model.forward([second], [[7]])
    kept = model.kv.keep(second, 0)
    model.kv.close(first)  # the second one takes its place
    assert torch.equal(model.forward([second], [[7]]), expected)
    third = model.kv.open()
    model.kv.adopt(third, [kept])
    model.catch_up([third], [text[16:]])
    assert torch.equal(model.forward([third], [[7]]), expected)


@pytest.mark.parametrize("token", [-1, 64])
def test_a_token_that_is_none_is_refused_before_anything_is_read(token):
    (row,) = fresh(MODELS["singles"], 1)
    with pytest.raises(AssertionError):
        MODELS["singles"].forward([row], [[3, token]])


def test_what_it_does_not_know_is_computed_otherwise():
    known = {kind for kind in ARCHITECTURES if fused_decoder(tiny_network(kind, **WIDE), RectangularKV(2, 1))}
    assert known == {"llama", "qwen2", "qwen3"}
    assert fused_decoder(tiny_network("qwen2"), RectangularKV(2, 1)) is None  # heads of eight numbers
    assert fused_decoder(tiny_network(), BlockKV(2, 1)) is None
