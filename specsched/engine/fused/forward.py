"""The network: embedding, layers, head; and going on by itself."""

from typing import Any

import numpy as np

from specsched.engine.fused.attention import attend, keep, turn
from specsched.engine.fused.compiled import compiled
from specsched.engine.fused.lanes import LANES, address, exp, fma, load, splat, store, total
from specsched.engine.fused.product import multiply
from specsched.engine.fused.tile import ROWS

SHAPE = np.dtype(
    [
        ("layers", np.int64),
        ("features", np.int64),  # of a token, E
        ("room", np.int64),  # E up to a multiple of LANES: what a token's numbers take
        ("heads", np.int64),
        ("kv_heads", np.int64),
        ("width", np.int64),  # of a head, D
        ("inner", np.int64),  # of the feed-forward network, up to a multiple of LANES
        ("head_norms", np.int64),  # whether q and k heads are normed (Qwen3)
        ("embedding", np.int64),  # address, [V, room]
        ("scaling", np.float32),  # of scores
        ("floor", np.float32),  # ε of the norms
    ]
)
EMBEDDING = ("embedding",)
"""Of its fields, the one that is an address."""
NORMS = np.dtype([("attention", np.int64), ("inner", np.int64), ("query", np.int64), ("key", np.int64)])
"""Addresses of a layer's gains; of the last pair 0 where there are none."""
QKV, OUT, GATE_UP, DOWN = range(4)
LINEARS = 4
"""Of a layer; the head comes after all layers."""


@compiled
def norm(x: Any, at: int, features: int, room: int, gain: int, floor: Any, out: Any, to: int) -> None:
    """Divide `features` numbers by their root mean square and multiply by gains (Zhang and Sennrich 2019, eq. 4)."""
    squares = splat(np.float32(0))
    for i in range(at, at + room, LANES):
        squares = fma(load(x, i), load(x, i), squares)
    factor = splat(np.float32(1) / np.sqrt(total(squares) / np.float32(features) + floor))
    for i in range(0, room, LANES):
        store(out, to + i, load(x, at + i) * factor * load(gain, i))


@compiled
def gate(x: Any, tokens: int, inner: int, out: Any) -> None:
    """silu(g)·u of gates and ups that lie side by side, [tokens · 2·inner] to [tokens · inner]."""
    one = splat(np.float32(1))
    for token in range(tokens):
        at = 2 * token * inner
        for i in range(0, inner, LANES):
            g = load(x, at + i)
            store(out, token * inner + i, g / (one + exp(splat(np.float32(0)) - g)) * load(x, at + inner + i))


@compiled
def attention(
    shape: Any,
    norms: Any,
    qkv: Any,
    batch: Any,
    turns: Any,
    keys: int,
    values: int,
    capacity: int,
    scores: Any,
    out: Any,
) -> None:
    """One layer's: write every token's keys and values, and let it look at its row."""
    width, groups = shape.width, shape.heads // shape.kv_heads
    heads = shape.heads + 2 * shape.kv_heads
    token = 0
    for row in range(batch.shape[1]):
        for position in range(batch[1, row], batch[1, row] + batch[2, row]):
            at = token * heads * width
            for head in range(shape.heads + shape.kv_heads):
                query = head < shape.heads
                here = at + head * width
                if shape.head_norms:
                    norm(qkv, here, width, width, norms.query if query else norms.key, shape.floor, qkv, here)
                turn(qkv, here, width, turns, position, shape.scaling if query else np.float32(1))
            for head in range(shape.kv_heads):
                line = 4 * (batch[0, row] * shape.kv_heads + head) * capacity * width
                key = at + (shape.heads + head) * width
                keep(qkv, key, key + shape.kv_heads * width, width, keys + line, values + line, position)
                for first in range(0, groups, ROWS):
                    query_head = head * groups + first
                    attend(
                        address(qkv) + 4 * (at + query_head * width),
                        min(ROWS, groups - first),
                        width,
                        keys + line,
                        values + line,
                        position + 1,
                        scores,
                        address(out) + 4 * (token * shape.heads + query_head) * width,
                    )
            token += 1


@compiled
def norm_all(of: Any, x: Any, tokens: int, gain: int, out: Any) -> None:
    """Norm every token's numbers, [tokens · room] each."""
    for token in range(tokens):
        norm(x, token * of.room, of.features, of.room, gain, of.floor, out, token * of.room)


@compiled
def embed(of: Any, ids: Any, out: Any) -> None:
    """Look tokens up, [N] to [N · room]."""
    for token in range(ids.size):
        for i in range(0, of.room, LANES):
            store(out, token * of.room + i, load(of.embedding, ids[token] * of.room + i))


@compiled
def norm_wanted(of: Any, x: Any, batch: Any, last: bool, gain: int, out: Any) -> None:
    """Norm the tokens that get logits, all or each row's last one, and put them side by side."""
    wanted, token = 0, -1
    for row in range(batch.shape[1]):
        for left in range(batch[2, row] - 1, -1, -1):
            token += 1
            if not last or left == 0:
                norm(x, token * of.room, of.features, of.room, gain, of.floor, out, wanted * of.room)
                wanted += 1


@compiled
def longest(batch: Any) -> int:
    """Tokens of the row that will have most, up to a multiple of LANES."""
    most = 0
    for row in range(batch.shape[1]):
        most = max(most, batch[1, row] + batch[2, row])
    return (most + LANES - 1) // LANES * LANES


@compiled
def forward(
    shape: Any,
    norms: Any,
    linears: Any,
    turns: Any,
    ids: Any,
    batch: Any,
    store_at: Any,
    capacity: int,
    last: bool,
    logits: Any,
) -> None:
    """Run new tokens of some rows.

    Args:
        shape: [1] of SHAPE.
        norms: [layers + 1] of NORMS; of the last one the first gain is the head's.
        linears: [layers · LINEARS + 1] of LINEAR.
        turns: Cosines and sines by position, [positions · D].
        ids: The rows' tokens one after the other, [N] int64.
        batch: [3, B] int64: in which line of the storage each row lies, where its new tokens begin, how many there are.
        store_at: [layers, 2] int64, addresses of the layers' keys and values, [lines, kv heads, capacity, D] each.
        capacity: Tokens of a line.
        last: Whether only each row's last token gets logits.
        logits: [N or B, V up to a multiple of LANES], written.
    """
    of, tokens = shape[0], ids.size
    hidden = np.empty(tokens * of.room, np.float32)
    normed = np.empty(tokens * of.room, np.float32)
    qkv = np.empty(tokens * (of.heads + 2 * of.kv_heads) * of.width, np.float32)
    seen = np.empty(tokens * of.heads * of.width, np.float32)
    both = np.empty(2 * tokens * of.inner, np.float32)
    inner = np.empty(tokens * of.inner, np.float32)
    scores = np.empty(ROWS * longest(batch), np.float32)
    embed(of, ids, hidden)
    for layer in range(of.layers):
        gains, first = norms[layer], layer * LINEARS
        norm_all(of, hidden, tokens, gains.attention, normed)
        multiply(linears[first + QKV], normed, tokens, qkv)
        attention(of, gains, qkv, batch, turns, store_at[layer, 0], store_at[layer, 1], capacity, scores, seen)
        multiply(linears[first + OUT], seen, tokens, hidden)
        norm_all(of, hidden, tokens, gains.inner, normed)
        multiply(linears[first + GATE_UP], normed, tokens, both)
        gate(both, tokens, of.inner, inner)
        multiply(linears[first + DOWN], inner, tokens, hidden)
    norm_wanted(of, hidden, batch, last, norms[of.layers].attention, normed)
    head = linears[of.layers * LINEARS]
    multiply(head, normed, logits.size // head.outputs, logits)


@compiled
def follow(
    shape: Any,
    norms: Any,
    linears: Any,
    turns: Any,
    ids: Any,
    batch: Any,
    store_at: Any,
    capacity: int,
    last: bool,
    logits: Any,
    vocab: int,
    named: Any,
) -> None:
    """Run new tokens of some rows, then name each row's next ones: the likeliest, one after the other.

    Args as of `forward`, and:
        vocab: Tokens to choose from.
        named: [B, steps] int64, written; `last` where there are steps. The batch goes along.
    """
    rows, steps = named.shape
    new = ids
    for step in range(max(1, steps)):
        forward(shape, norms, linears, turns, new, batch, store_at, capacity, last, logits)
        if step == steps:
            return
        new = np.empty(rows, np.int64)
        for row in range(rows):
            new[row] = named[row, step] = likeliest(logits, row * (logits.size // rows), vocab)
            batch[1, row] += batch[2, row]
            batch[2, row] = 1


@compiled
def likeliest(logits: Any, at: int, count: int) -> int:
    """Return which of `count` logits is best, the first of equal ones."""
    best = 0
    for i in range(count):
        if logits[at + i] > logits[at + best]:
            best = i
    return best
