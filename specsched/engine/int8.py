"""INT8 linear layers: 8-bit weights with a scale per output, 7-bit activations with a scale per *row*.

A scale per tensor would make a row's logits depend on its batch mates. Here each row is divided by its own largest
magnitude, so that one fixed scale of 1/63 fits all: the integer sums are exact, hence bit-identical whatever the
batch. Seven bits, because with eight the 16-bit sums of AVX2 saturate where the CPU has no VNNI (ENGINE.md, "Speed
on a CPU").

2026-11: FBGEMM with a *given* input scale instead of its dynamic linear and a sentinel row that pins the scale: the
same numbers, one row less. PyTorch deprecates the dtype that the weights are packed from; the warning is kept in
here, and a PyTorch without these operators is refused at load.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

_WEIGHT_LEVELS = 127
_ACTIVATION_LEVELS = 63
_ZERO_POINT = 64  # codes 1 … 127
_TINY = 1e-30
"""Stands in for the largest magnitude of a row of zeros."""


class Int8Linear(nn.Module):
    """x·Wᵀ + b over packed weights; takes and gives float32."""

    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Quantize and pack.

        Args:
            weight: [out, in] float32
            bias: [out]
        """
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self._packed = _pack(weight)
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    @property
    def memory_bytes(self) -> int:
        """Bytes of the packed weights, which are no parameter of the module."""
        return self.out_features * (self.in_features + 8)

    @property
    def num_parameters(self) -> int:
        """Weights and biases."""
        return self.out_features * (self.in_features + (self.bias is not None))

    def weights(self) -> Tensor:
        """Return the weights as they are multiplied, [out, in] float32; quantizing them again changes nothing."""
        codes, scale = self.codes()
        return codes * scale[:, None]

    def codes(self) -> tuple[Tensor, Tensor]:
        """Return the weights' codes, [out, in] int8, and scales, [out] float32."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantized, _ = torch.ops.quantized.linear_unpack(self._packed)
            return quantized.int_repr(), quantized.q_per_channel_scales().float()

    def forward(self, x: Tensor) -> Tensor:
        """Multiply, [..., in] → [..., out]."""
        out, top = self.multiply(x.reshape(-1, self.in_features))
        out.mul_(top)
        if self.bias is not None:
            out.add_(self.bias)
        return out.view(*x.shape[:-1], self.out_features)

    def multiply(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Multiply tokens, [N, in], that were divided by their own magnitudes: products [N, out], magnitudes [N, 1]."""
        top = x.abs().amax(-1, keepdim=True).clamp_(min=_TINY)  # NaN stays NaN
        operator = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32.default
        out: Tensor = operator._op(x / top, 1 / _ACTIVATION_LEVELS, _ZERO_POINT, self._packed)  # noqa: SLF001 - its wrapper looks through all arguments, a tenth of the call
        return out, top


def int8_is_offered() -> bool:
    """Whether this build of PyTorch can run `Int8Linear` on this CPU."""
    return "fbgemm" in torch.backends.quantized.supported_engines and hasattr(
        torch.ops.quantized, "linear_with_input_q_dq_qweight_dq_output_fp32"
    )


@torch.no_grad()
def quantize_linears(network: nn.Module) -> None:
    """Replace every linear layer, the head included. An embedding that was tied to the head stays as it is."""
    found = [(parent, name, child) for parent in network.modules() for name, child in parent.named_children()]
    made: dict[nn.Module, Int8Linear] = {}
    for parent, name, child in found:
        if isinstance(child, nn.Linear | Conv1D):
            made[child] = made.get(child) or Int8Linear(_out_by_in(child), child.bias)
            setattr(parent, name, made[child])


def weights_of(layer: nn.Module) -> Tensor:
    """Return a linear layer's weights as they are multiplied, [out, in] float32."""
    if isinstance(layer, Int8Linear):
        return layer.weights()
    assert isinstance(layer, nn.Linear), "only linear layers have weights"
    return layer.weight.detach()


def packed_bytes(network: nn.Module) -> int:
    """Bytes of all packed weights."""
    return sum(layer.memory_bytes for layer in _packed_layers(network))


def packed_parameters(network: PreTrainedModel) -> int:
    """Count the weights and biases in packed layers; a head that was tied to the embedding is counted there."""
    tied = network.get_output_embeddings() if network.config.get_text_config().tie_word_embeddings else None
    return sum(layer.num_parameters for layer in _packed_layers(network) if layer is not tied)


def _packed_layers(network: nn.Module) -> Iterator[Int8Linear]:
    return (layer for layer in network.modules() if isinstance(layer, Int8Linear))


def _out_by_in(layer: nn.Linear | Conv1D) -> Tensor:
    """Weights as [out, in]; GPT-2's Conv1D keeps them the other way round."""
    return layer.weight.t() if isinstance(layer, Conv1D) else layer.weight


def _pack(weight: Tensor) -> Any:
    scale = weight.abs().amax(1).clamp(min=_TINY) / _WEIGHT_LEVELS  # [out]
    codes = (weight / scale[:, None]).round().to(torch.int8).contiguous()
    zero_points = torch.zeros(len(scale), dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the deprecation that the module's docstring speaks of
        quantized = torch._make_per_channel_quantized_tensor(codes, scale.double(), zero_points, 0)  # noqa: SLF001
        return torch.ops.quantized.linear_prepack(quantized, None)
