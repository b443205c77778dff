"""x·Wᵀ + b over packed weights, for any number of tokens."""

from typing import Any

import numpy as np

from specsched.engine.fused import tile
from specsched.engine.fused.compiled import compiled
from specsched.engine.fused.lanes import (
    LANES,
    address,
    fma,
    larger_magnitude,
    largest_magnitude,
    load,
    load_ints,
    splat,
    store,
    store_codes,
)
from specsched.engine.fused.tile import PANELS, ROWS, STEP_BYTES

CODES, HALVES, SINGLES = 0, 1, 2
LINEAR = np.dtype(
    [
        ("kind", np.int64),  # of the weights
        ("adds", np.int64),  # whether outputs are added to what is there
        ("inputs", np.int64),  # a multiple of LANES
        ("outputs", np.int64),  # as well
        ("steps", np.int64),  # of a panel
        ("weights", np.int64),  # address of panels, [outputs / LANES up to a multiple of PANELS, steps, 64 bytes]
        ("start", np.int64),  # address: the bias; for codes what the operands' zero point adds, taken off, int32
        ("scale", np.int64),  # address of the weights' scales, codes only
        ("bias", np.int64),  # address, codes only
    ]
)
PLACES = ("weights", "start", "scale", "bias")
"""Of its fields, those that are addresses; 0 for none."""
_LEVELS = np.float32(127)
_TINY = np.float32(1e-30)


@compiled
def quantize(x: Any, at: int, count: int, codes: Any, to: int) -> Any:
    """Round `count` numbers to bytes, 128 for 0, by the largest magnitude among them; return the scale."""
    top = splat(_TINY)
    for i in range(at, at + count, LANES):
        top = larger_magnitude(top, load(x, i))
    scale = largest_magnitude(top) / _LEVELS
    factor = splat(np.float32(1) / scale)
    for i in range(0, count, LANES):
        store_codes(codes, to + i // 4, load(x, at + i) * factor)
    return scale


@compiled
def multiply(linear: Any, x: Any, tokens: int, out: Any) -> None:
    """Put x·Wᵀ + b to `out`, or add it, as the layer says.

    Args:
        linear: One of LINEAR.
        x: [tokens · inputs]
        tokens: How many.
        out: [tokens · outputs]
    """
    coded, inputs = linear.kind == CODES, linear.inputs
    codes = np.empty(tokens * inputs if coded else 0, np.uint8)
    scales = np.empty(tokens if coded else 0, np.float32)
    for token in range(scales.size):
        scales[token] = quantize(x, token * inputs, inputs, codes, token * inputs // 4)
    sums = np.empty(ROWS * PANELS * LANES, np.float32)
    panel, step, across = linear.steps * STEP_BYTES, STEP_BYTES, PANELS * STEP_BYTES
    ahead = PANELS * panel
    for first in range(0, linear.outputs, PANELS * LANES):
        panels, start = linear.weights + first // LANES * panel, linear.start + 4 * first
        for token in range(0, tokens, ROWS):
            rows = min(ROWS, tokens - token)
            # an array lives as long as its name is still to come: no address of one is kept across the loop
            to, at = address(sums), token * inputs
            if coded:
                operand = address(codes) + at
                tile.codes(rows, panels, panel, step, linear.steps, operand, inputs, start, to, across, ahead)
            elif linear.kind == HALVES:
                operand = address(x) + 4 * at
                tile.halves(rows, panels, panel, step, linear.steps, operand, 4 * inputs, start, to, across, ahead)
            else:
                operand = address(x) + 4 * at
                tile.singles(rows, panels, panel, step, linear.steps, operand, 4 * inputs, start, to, across, ahead)
            _finish(linear, sums, scales, first, token, rows, out)


@compiled
def _finish(linear: Any, sums: Any, scales: Any, first: int, token: int, rows: int, out: Any) -> None:
    """Turn a tile's sums into outputs."""
    count = min(PANELS * LANES, linear.outputs - first)
    for row in range(rows):
        to = (token + row) * linear.outputs + first
        for i in range(0, count, LANES):
            at = row * PANELS * LANES + i
            if linear.kind == CODES:
                scale = load(linear.scale, first + i) * splat(scales[token + row])
                value = fma(load_ints(sums, at), scale, load(linear.bias, first + i))
            else:
                value = load(sums, at)
            store(out, to + i, value + load(out, to + i) if linear.adds else value)
