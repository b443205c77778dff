"""Linear layers as the lean forward calls them: several of one input fused into one, in their fastest layout."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from specsched.engine.int8 import Int8Linear, fuse_packed

PREPACKED_WEIGHTS = 1 << 19
"""Layers from this size on keep a second, prepacked copy of their weights: for smaller ones a call costs more than it
saves."""


class FloatLinear:
    """Float32 weights stored twice: column by column for one row, prepacked by oneDNN for more.

    One row reads every weight once, which a column-wise product does best; from two rows on oneDNN's blocks are
    faster, up to twice with eight. The two differ by rounding (ENGINE.md, "Exactness": below 1e-6).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Lay the weights out, [out, in]."""
        self._by_column = weight.t().contiguous().t()
        self._bias = bias
        large = weight.numel() >= PREPACKED_WEIGHTS and torch.backends.mkldnn.is_available()
        self._prepacked: Tensor | None = torch.ops.mkldnn._reorder_linear_weight(weight, 8) if large else None  # noqa: SLF001

    @property
    def memory_bytes(self) -> int:
        """Bytes of both copies."""
        return self._by_column.nbytes * (1 if self._prepacked is None else 2)

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply, [..., in] → [..., out]."""
        if self._prepacked is None or x.numel() == x.shape[-1]:
            return linear(x, self._by_column, self._bias)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._prepacked, self._bias, "none", [], "")  # noqa: SLF001
        return out


Linear = FloatLinear | Int8Linear
"""[..., in] → [..., out]."""


def fuse(layers: Sequence[nn.Module]) -> Linear:
    """Make one layer of several that read the same input; outputs lie side by side."""
    packed = [layer for layer in layers if isinstance(layer, Int8Linear)]
    if len(packed) == len(layers):
        return fuse_packed(packed)
    assert not packed, "a layer's projections are quantized together"
    weights = [layer.weight.detach() for layer in layers if isinstance(layer, nn.Linear)]
    biases = [layer.bias.detach() for layer in layers if isinstance(layer, nn.Linear) and layer.bias is not None]
    return FloatLinear(torch.cat(weights), torch.cat(biases) if biases else None)
