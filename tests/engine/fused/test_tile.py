"""The inner loop on other CPUs than this one: whatever multiplies codes, sums are the same integers."""

import numpy as np
import pytest

numba = pytest.importorskip("numba")
llvm = pytest.importorskip("llvmlite.binding")

from specsched.engine.fused import tile  # noqa: E402 - numba first

WAYS = {"avx512vnni": tile.madd_vnni512, "avxvnni": tile.madd_vnni256, "avx2": tile.madd_avx2}
STEPS, OUTPUTS = 12, tile.PANELS * 16


@pytest.mark.parametrize("feature", WAYS)
def test_sums_of_codes_are_exact_at_full_scale(feature):
    if not llvm.get_host_cpu_features().get(feature):
        pytest.skip(f"this CPU has no {feature}")
    run = tile.tile(tile.codes_by(WAYS[feature]))
    weights, codes = drawn()
    panels = np.ascontiguousarray(weights.reshape(tile.PANELS, 16, STEPS, 4).transpose(0, 2, 1, 3))
    start = np.arange(OUTPUTS, dtype=np.int32)
    expected = start + codes.astype(np.int64) @ weights.T.astype(np.int64)

    @numba.njit
    def sums(rows, weights, codes, start, out):
        run(rows, weights, STEPS * 64, 64, STEPS, codes, STEPS * 4, start, out, OUTPUTS * 4, 0)

    for rows in range(1, tile.ROWS + 1):
        out = np.zeros((tile.ROWS, OUTPUTS), np.int32)
        sums(rows, panels.ctypes.data, codes.ctypes.data, start.ctypes.data, out.ctypes.data)
        assert (out[:rows] == expected[:rows]).all()
        assert not out[rows:].any()


def drawn():
    """Random weights and codes, some lines all at the ends of their ranges."""
    draws = np.random.default_rng(0)
    weights = draws.integers(-127, 128, (OUTPUTS, STEPS * 4)).astype(np.int8)
    codes = draws.integers(0, 256, (tile.ROWS, STEPS * 4)).astype(np.uint8)
    weights[0], weights[1], codes[0] = 127, -127, 255
    return weights, codes
