"""Linear layers as the lean forward calls them: over packed tokens, those of one input fused, in their fastest layout.

A layer either reads the residual stream through a norm or adds to it. Both are one call here: what RMS normalises by is
one number a token, which may as well multiply the layer's outputs (Zhang and Sennrich 2019, arXiv 1910.07467, eq. 4).
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from specsched.engine.int8 import Int8Linear, weights_of

PREPACKED_WEIGHTS = 1 << 17
"""Layers from this size on keep a second, prepacked copy of their weights: for smaller ones a call costs more than it
saves."""


class Linear(Protocol):
    """x·Wᵀ + b over packed tokens."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights as they lie here."""
        ...

    def scaled(self, x: Tensor, factor: Tensor) -> Tensor:
        """Return (x ⊙ gain)·Wᵀ·factor + b.

        Args:
            x: [N, in]
            factor: [N, 1]
        """
        ...

    def add(self, x: Tensor, to: Tensor) -> None:
        """Add x·Wᵀ + b to a tensor in place, [N, in] to [N, out]."""
        ...


class FloatLinear:
    """Float32 weights stored twice: column by column for one token, prepacked by oneDNN for more.

    One token reads every weight once, which a column-wise product does best; from two on oneDNN's blocks are
    faster, up to four times with five. The two differ by rounding (ENGINE.md, "Exactness": below 1e-6).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, gain: Tensor | None = None) -> None:
        """Lay the weights out, [out, in]; `gain` multiplies the inputs, [in], and goes into them."""
        weight = weight if gain is None else weight * gain
        self._columns = weight.t().contiguous()  # [in, out]
        self._bias = bias
        self._prepacked = _prepacked(weight) if weight.numel() >= PREPACKED_WEIGHTS else None

    @property
    def memory_bytes(self) -> int:
        """Bytes of both copies."""
        return self._columns.nbytes * (1 if self._prepacked is None else 2)

    def scaled(self, x: Tensor, factor: Tensor) -> Tensor:
        """Multiply."""
        out = self._product(x).mul_(factor)
        return out if self._bias is None else out.add_(self._bias)

    def add(self, x: Tensor, to: Tensor) -> None:
        """Multiply and add."""
        if self._prepacked is None or len(x) == 1:
            to.addmm_(x, self._columns)
        else:
            to.add_(self._product(x))
        if self._bias is not None:
            to.add_(self._bias)

    def _product(self, x: Tensor) -> Tensor:
        if self._prepacked is None or len(x) == 1:
            return torch.mm(x, self._columns)
        out: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, self._prepacked, None, "none", [], "")  # noqa: SLF001
        return out


class PackedLinear:
    """INT8 weights (`Int8Linear`): every token has a scale of its own, in which a common factor is lost."""

    def __init__(self, layer: Int8Linear, gain: Tensor | None = None) -> None:
        """Take packed weights; `gain` multiplies the inputs, [in], before they are rounded."""
        self._layer = layer
        self._gain = gain

    @property
    def memory_bytes(self) -> int:
        """Bytes of the packed weights."""
        return self._layer.memory_bytes

    def scaled(self, x: Tensor, factor: Tensor) -> Tensor:
        """Multiply."""
        codes, top = self._layer.multiply(x if self._gain is None else x * self._gain)
        out = codes.mul_(top.mul_(factor))
        return out if self._layer.bias is None else out.add_(self._layer.bias)

    def add(self, x: Tensor, to: Tensor) -> None:
        """Multiply and add."""
        codes, top = self._layer.multiply(x)
        to.addcmul_(codes, top)
        if self._layer.bias is not None:
            to.add_(self._layer.bias)


def fuse(layers: Sequence[nn.Module], gain: Tensor | None = None, order: Tensor | None = None) -> Linear:
    """Make one layer of several that read the same input; outputs lie side by side.

    Args:
        layers: All `nn.Linear`, or all `Int8Linear`.
        gain: Multiplies the inputs, [in].
        order: Which output comes where, [out]; as they are by default.
    """
    weight = torch.cat([weights_of(layer) for layer in layers])  # [out, in]
    biases = [layer.bias.detach() for layer in layers if isinstance(layer.bias, Tensor)]
    bias = torch.cat(biases) if biases else None
    if order is not None:
        weight, bias = weight[order], bias[order] if bias is not None else None
    if not any(isinstance(layer, Int8Linear) for layer in layers):
        return FloatLinear(weight, bias, gain)
    assert all(isinstance(layer, Int8Linear) for layer in layers), "a layer's projections are quantized together"
    return PackedLinear(Int8Linear(weight, bias), gain)


def _prepacked(weight: Tensor) -> Tensor | None:
    if not torch.backends.mkldnn.is_available():
        return None
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 8)  # type: ignore[no-any-return]  # noqa: SLF001
