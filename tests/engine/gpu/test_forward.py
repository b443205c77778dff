"""Forwards over static buffers compute what plain ones do, and write nowhere else."""

from copy import deepcopy

import pytest
import torch

from specsched.engine.gpu.forward import MOST_WIDTH, StaticForward, bucket
from specsched.engine.gpu.graphs import BufferedCapture, Replayed, Uncaptured
from specsched.engine.kv.base import BLOCK_TOKENS
from specsched.engine.kv.blocks import BlockKV
from specsched.engine.model import LanguageModel
from tests.helpers.tiny import ARCHITECTURES, tiny_network

pytestmark = pytest.mark.usefixtures("inference")

TEXTS = [[1, 2, 3], [7] * 21, list(range(40))]


@pytest.fixture
def inference():
    with torch.inference_mode():
        yield


def buffered():
    return Replayed("m", BufferedCapture())


class Recording(Replayed):
    """Notes shapes, and when everything was forgotten."""

    def __init__(self):
        super().__init__("m", BufferedCapture())
        self.shapes = []
        self.forgotten = 0

    def run(self, batch, work):
        self.shapes.append(batch.shape)
        return super().run(batch, work)

    def forget(self):
        self.forgotten += 1
        super().forget()


def model_of(network, texts=TEXTS, blocks=64):
    """A model that has read some texts."""
    model = LanguageModel(
        deepcopy(network), "m", max_rows=8, make_kv=lambda layers, rows: BlockKV(layers, rows, blocks)
    )
    rows = [model.kv.open() for _ in texts]
    for row, text in zip(rows, texts, strict=True):
        model.catch_up([row], [text])
    return model, rows


def static(forward, rows, tokens):
    """Run ragged tokens through buckets; returns each row's own logits."""
    width = max(map(len, tokens))
    counts = [len(each) for each in tokens]
    ids = torch.tensor([[*each, *[0] * (width - len(each))] for each in tokens])
    logits = forward(forward.place(rows, counts), ids, torch.tensor(counts))
    return [of_row[:count].clone() for of_row, count in zip(logits, counts, strict=True)]


@pytest.mark.parametrize("graphs", [buffered, Uncaptured])
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_it_computes_what_the_plain_forward_computes(kind, graphs):
    network = tiny_network(kind)
    (plain, rows), (model, placed) = model_of(network), model_of(network)
    forward = StaticForward(model, graphs())
    for tokens in ([[4], [5], [6]], [[1, 2, 3], [4], [5, 6]], [[9, 8, 7], [1, 2, 3], [4, 5, 6]], [[3], [2], [1]]):
        expected = plain.forward(rows, tokens)
        for ours, theirs, each in zip(static(forward, placed, tokens), expected, tokens, strict=True):
            torch.testing.assert_close(ours, theirs[: len(each)], rtol=1e-4, atol=1e-4)
        for row, other, each in zip(rows, placed, tokens, strict=True):
            row.length += len(each)
            other.length += len(each)


def test_steps_follow_each_other_without_the_host():
    network = tiny_network()
    (plain, rows), (model, placed) = model_of(network), model_of(network)
    forward = StaticForward(model, buffered())
    lines = forward.place(placed, [4, 4, 4])
    for step, token in enumerate([3, 9, 4, 1]):
        ours = forward(lines.ahead(step), torch.full((3, 1), token), torch.ones(3, dtype=torch.long))
        torch.testing.assert_close(ours, plain.forward(rows, [[token]] * 3), rtol=1e-4, atol=1e-4)
        for row in rows:
            row.length += 1


def held(model):
    """All that the pool holds outside the null block."""
    return [tensor[BLOCK_TOKENS:].clone() for layer in model.kv.stored_layers for tensor in layer.tensors]


def test_padding_touches_nothing_that_is_alive():
    model, rows = model_of(tiny_network())
    forward = StaticForward(model, buffered())
    before = held(model)
    padded = forward(forward.place(rows, [9, 9, 9]), torch.full((3, 9), 5), torch.zeros(3, dtype=torch.long))
    assert all(torch.equal(*pair) for pair in zip(before, held(model), strict=True))
    assert torch.isfinite(padded).all(), "what is masked has to be finite"
    static(forward, rows[:1], [[1, 2]])
    changed = sum(int((one != other).any(-1).any(-1).sum()) for one, other in zip(before, held(model), strict=True))
    assert changed == 2 * len(before), "two slots in each tensor"


def test_shapes_come_in_few_buckets():
    model, rows = model_of(tiny_network(), [[1] * 30] * 7)
    graphs = Recording()
    forward = StaticForward(model, graphs)
    for count in range(1, 8):
        static(forward, rows[:count], [[3]] * count)
    assert {shape[0] for shape in graphs.shapes} == {1, 2, 4, 8}
    assert {shape[2] for shape in graphs.shapes} == {2}, "thirty tokens and one lie in two blocks"
    static(forward, rows, [[3, 4, 5]] * 7)
    assert graphs.shapes[-1] == (8, 3, 4), "thirty-three lie in three, rounded up"
    seen = len(graphs.shapes)
    static(forward, rows[:1], [[1] * (MOST_WIDTH + 1)])
    assert len(graphs.shapes) == seen, "prompts are not captured"
    assert [bucket(n) for n in (1, 2, 3, 5, 32)] == [1, 2, 4, 8, 32]


def test_all_is_forgotten_when_the_pool_moves():
    network = tiny_network()
    (plain, rows), (model, placed) = model_of(network, TEXTS[:1], 64), model_of(network, TEXTS[:1], 2)
    graphs = Recording()
    forward = StaticForward(model, graphs)
    for _ in range(40):
        (ours,) = static(forward, placed, [[7]])
        torch.testing.assert_close(ours, plain.forward(rows, [[7]])[0], rtol=1e-4, atol=1e-4)
        rows[0].length += 1
        placed[0].length += 1
    assert graphs.forgotten == 1, "from two blocks to four: the null block and three"
    model.kv.check_integrity()


def test_an_output_is_good_until_the_next_run():
    model, rows = model_of(tiny_network())
    forward = StaticForward(model, buffered())
    static(forward, rows, [[1, 2]] * 3)
    first = forward(forward.place(rows, [1] * 3), torch.ones(3, 1, dtype=torch.long), torch.ones(3, dtype=torch.long))
    static(forward, rows, [[1, 2]] * 3)
    assert first.isnan().all()


class Faulty(BufferedCapture):
    """Captures that go wrong: they fail, or replay something else."""

    def __init__(self, *, fails):
        super().__init__()
        self.fails = fails
        self.tried = 0

    def __call__(self, inputs, work):
        self.tried += 1
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing")
        return super().__call__(inputs, lambda batch: work(batch) + 1.0)


@pytest.mark.parametrize("fails", [True, False])
def test_a_capture_that_fails_or_replays_something_else_is_not_used(fails):
    network = tiny_network()
    (plain, rows), (model, placed) = model_of(network), model_of(network)
    capture = Faulty(fails=fails)
    forward = StaticForward(model, Replayed("m", capture))
    for _ in range(3):
        for ours, theirs in zip(
            static(forward, placed, [[4], [5], [6]]), plain.forward(rows, [[4], [5], [6]]), strict=True
        ):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert capture.tried == 1, "nor tried again"
