"""Attention of one token over its own row: no mask and no padding, so nothing depends on what else is in the batch.

Values lie token by token, [tokens, D]; keys lie turned over inside each block of sixteen tokens, [tokens / 16, D, 16],
so that scores of sixteen keys are one panel and both products are the tile of all others. A key head's query heads are
the tile's rows.
"""

from typing import Any

import numpy as np

from specsched.engine.fused import tile
from specsched.engine.fused.compiled import compiled
from specsched.engine.fused.lanes import LANES, address, below, exp, larger, largest, load, put, splat, store, total
from specsched.engine.fused.tile import PANELS, STEP_BYTES

_LOWEST = np.float32(-np.inf)


@compiled
def turn(x: Any, at: int, width: int, turns: Any, position: int, factor: Any) -> None:
    """Turn a head by its position, numbers i and i + D / 2 together (Su et al. 2021, arXiv 2104.09864), times a factor.

    `turns` holds cosines, then sines: [positions · D].
    """
    half = width // 2
    for i in range(at, at + half, LANES):
        cosine, sine = load(turns, position * width + i - at), load(turns, position * width + half + i - at)
        low, high = load(x, i), load(x, i + half)
        store(x, i, (low * cosine - high * sine) * splat(factor))
        store(x, i + half, (high * cosine + low * sine) * splat(factor))


@compiled
def keep(x: Any, key: int, value: int, width: int, keys: Any, values: Any, position: int) -> None:
    """Write one token's key and value of a head, from `x[key]` and `x[value]` on."""
    column = position // LANES * LANES * width + position % LANES
    for i in range(width):
        put(keys, column + i * LANES, x[key + i])
    for i in range(0, width, LANES):
        store(values, position * width + i, load(x, value + i))


@compiled
def attend(query: int, groups: int, width: int, keys: int, values: int, count: int, scores: Any, out: int) -> None:
    """Attend with the query heads of one key head.

    Args:
        query: Address of [groups · D], turned and scaled.
        groups: Query heads, ROWS at most.
        width: D.
        keys: Address of the head's keys.
        values: Address of its values.
        count: Of the tokens seen, the last being the query's own.
        scores: Room, [groups · (count up to a multiple of LANES)] at least.
        out: Address of [groups · D].
    """
    blocks = (count + LANES - 1) // LANES
    line = blocks * LANES
    panel, token = width * STEP_BYTES, 4 * width
    to = address(scores)
    _sweep(groups, blocks, keys, panel, STEP_BYTES, width, query, token, to, 4 * line, PANELS * panel)
    for group in range(groups):
        _softmax(scores, group * line, count)
    ahead = LANES * token
    _sweep(groups, width // LANES, values, STEP_BYTES, token, count, address(scores), 4 * line, out, token, ahead)


@compiled
def _sweep(
    rows: int,
    panels: int,
    weights: int,
    panel: int,
    step: int,
    steps: int,
    operand: int,
    stride: int,
    out: int,
    across: int,
    ahead: int,
) -> None:
    """Go through any number of panels of single floats; arguments as of `tile.Places`."""
    zeros = np.zeros(PANELS * LANES, np.float32)
    whole = panels // PANELS * PANELS
    for i in range(0, whole, PANELS):
        to = out + i * STEP_BYTES
        tile.singles(rows, weights + i * panel, panel, step, steps, operand, stride, address(zeros), to, across, ahead)
    for i in range(whole, panels):
        to = out + i * STEP_BYTES
        tile.single(rows, weights + i * panel, panel, step, steps, operand, stride, address(zeros), to, across, ahead)


@compiled
def _softmax(scores: Any, at: int, count: int) -> None:
    """Make weights of `count` scores, in place."""
    top = splat(_LOWEST)
    for i in range(0, count, LANES):
        top = larger(top, below(load(scores, at + i), count - i, splat(_LOWEST)))
    highest = splat(largest(top))
    weight = splat(np.float32(0))
    for i in range(0, count, LANES):
        raised = below(exp(load(scores, at + i) - highest), count - i, splat(np.float32(0)))
        store(scores, at + i, raised)
        weight = weight + raised
    factor = splat(np.float32(1) / total(weight))
    for i in range(0, count, LANES):
        store(scores, at + i, load(scores, at + i) * factor)
