"""A network's weights as the kernel reads them: tables of addresses, and one stretch of memory in the order of use."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from specsched.engine.fused.forward import EMBEDDING, LINEARS, NORMS, SHAPE
from specsched.engine.fused.lanes import LANES
from specsched.engine.fused.product import CODES, HALVES, LINEAR, PLACES, SINGLES
from specsched.engine.fused.tile import PANELS, STEP_BYTES
from specsched.engine.int8 import Int8Linear, weights_of

_ZERO_POINT = 128
Array = NDArray[Any]


class Weights:
    """Tables and what they point at."""

    def __init__(self, network: Any) -> None:
        """Copy a network's weights, so that it may be dropped."""
        self._pieces: list[Array] = []
        self._size = STEP_BYTES  # so that no piece begins at 0
        config, body = network.config, network.model
        layers = body.layers
        attention = layers[0].self_attn
        room, inner = _up(config.hidden_size), _up(config.intermediate_size)
        self.shape = np.zeros(1, SHAPE)
        self.shape[0] = (
            len(layers),
            config.hidden_size,
            room,
            config.num_attention_heads,
            config.num_key_value_heads,
            attention.head_dim,
            inner,
            hasattr(attention, "q_norm"),
            self._keep(_padded(body.embed_tokens.weight, columns=room)),
            attention.scaling,
            config.rms_norm_eps,
        )
        self.norms = np.zeros(len(layers) + 1, NORMS)
        self.linears = np.zeros(len(layers) * LINEARS + 1, LINEAR)
        for number, layer in enumerate(layers):
            self.norms[number] = tuple(self._gain(norm) for norm in _norms(layer))
            for place, each in enumerate(_linears(layer, room, inner), number * LINEARS):
                self.linears[place] = self._linear(*each)
        self.norms[-1]["attention"] = self._gain(body.norm)
        self.vocab_room = _up(config.vocab_size)
        self.linears[-1] = self._linear([network.lm_head], [self.vocab_room], room, adds=False)
        self._memory = self._laid_out()

    @property
    def memory_bytes(self) -> int:
        """Bytes of all that the tables point at."""
        return self._size

    def _keep(self, array: Array) -> int:
        """Note what is to be laid out, each piece from a cache line on; returns where, from the beginning."""
        at = self._size
        self._pieces.append(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
        self._size += -(-array.nbytes // STEP_BYTES) * STEP_BYTES
        return at

    def _laid_out(self) -> Array:
        """Copy all pieces, and make addresses of what the tables hold; 0 stays nothing."""
        memory = np.empty(self._size + STEP_BYTES, np.uint8)
        start = int(-memory.ctypes.data % STEP_BYTES)
        at = start + STEP_BYTES
        for piece in self._pieces:
            memory[at : at + piece.size] = piece
            at += -(-piece.size // STEP_BYTES) * STEP_BYTES
        self._pieces.clear()
        for table, fields in ((self.shape, EMBEDDING), (self.norms, NORMS.names or ()), (self.linears, PLACES)):
            for name in fields:
                table[name] += np.where(table[name] > 0, memory.ctypes.data + start, 0)
        return memory

    def _gain(self, norm: nn.Module | None) -> int:
        return 0 if norm is None else self._keep(_padded(norm.weight[None], columns=_up(norm.weight.numel())))  # type: ignore[index,operator]

    def _linear(self, layers: Sequence[nn.Module], rooms: Sequence[int], inputs: int, adds: bool) -> tuple[int, ...]:
        """Pack layers of one input, outputs side by side, each padded to its room; returns one of LINEAR."""
        outputs = sum(rooms)
        lines = -(-outputs // (PANELS * LANES)) * PANELS * LANES
        bias = _joined([_bias(layer)[:, None] for layer in layers], rooms, lines, 1)
        if isinstance(layers[0], Int8Linear):
            parts = [layer.codes() for layer in layers if isinstance(layer, Int8Linear)]
            assert len(parts) == len(layers), "a layer's projections are quantized together"
            codes = _joined([codes for codes, _ in parts], rooms, lines, inputs)
            scale = _joined([scale[:, None] for _, scale in parts], rooms, lines, 1)
            start = -_ZERO_POINT * codes.astype(np.int32).sum(1)
            kept = (self._panels(codes.astype(np.int8), 4), self._keep(start.astype(np.int32)))
            return (CODES, adds, inputs, outputs, inputs // 4, *kept, self._keep(scale), self._keep(bias))
        weight = _joined([weights_of(layer) for layer in layers], rooms, lines, inputs)
        bits = weight.view(np.uint32)
        if (bits & 0xFFFF).any():
            return (SINGLES, adds, inputs, outputs, inputs, self._panels(weight, 1), self._keep(bias), 0, 0)
        halves = (bits >> 16).astype(np.uint16)
        return (HALVES, adds, inputs, outputs, inputs // 2, self._panels(halves, 2), self._keep(bias), 0, 0)

    def _panels(self, weight: Array, words: int) -> int:
        """Lay [lines, inputs] out as [lines / LANES, inputs / words, LANES, words]."""
        lines, inputs = weight.shape
        return self._keep(weight.reshape(lines // LANES, LANES, inputs // words, words).transpose(0, 2, 1, 3))


def _norms(layer: Any) -> Iterator[nn.Module | None]:
    yield from (layer.input_layernorm, layer.post_attention_layernorm)
    yield from (getattr(layer.self_attn, name, None) for name in ("q_norm", "k_norm"))


def _linears(layer: Any, room: int, inner: int) -> Iterator[tuple[list[nn.Module], list[int], int, bool]]:
    """Yield, in the kernel's order, what is fused, rooms of outputs and of the input, and whether it is added."""
    attention, mlp = layer.self_attn, layer.mlp
    projections = [attention.q_proj, attention.k_proj, attention.v_proj]
    yield projections, [each.out_features for each in projections], room, False
    yield [attention.o_proj], [room], attention.o_proj.in_features, True
    yield [mlp.gate_proj, mlp.up_proj], [inner, inner], room, False
    yield [mlp.down_proj], [room], inner, True


def _bias(layer: Any) -> Tensor:
    return torch.zeros(layer.out_features) if layer.bias is None else layer.bias.detach()


def _joined(parts: Sequence[Tensor], rooms: Sequence[int], lines: int, columns: int) -> Array:
    """Stack [out, in] parts, zeros below each up to its room and below all up to `lines`."""
    stacked = np.zeros((lines, columns), np.float32)
    begin = 0
    for part, room in zip(parts, rooms, strict=True):
        stacked[begin : begin + part.shape[0], : part.shape[1]] = part.detach().numpy()
        begin += room
    return stacked


def _padded(weight: Tensor, columns: int) -> Array:
    return _joined([weight], [weight.shape[0]], weight.shape[0], columns)


def _up(count: int) -> int:
    """Round up to whole lanes."""
    return -(-count // LANES) * LANES
