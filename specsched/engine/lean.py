"""A lean forward for the Llama family: what transformers computes, in a third of the calls.

A small model's step is overhead, not arithmetic. Here all rows' tokens lie packed, q, k and v are one product, gate and
up another, norms are a factor on what comes out of them, positions are turned by one complex product, and nothing is
dispatched through modules. Architectures that it does not know run through transformers (`lean_decoder` gives None).
Token for token the same; the two differ by rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm, scaled_dot_product_attention, silu
from transformers import Cache, PreTrainedModel

from specsched.engine.linear import Linear, fuse
from specsched.engine.masks import Masks

KINDS = ("llama", "mistral", "qwen2", "qwen3")


class RopeTable:
    """Rotary positions (Su et al. 2021, arXiv 2104.09864) as complex numbers, from the model's own embedding of them.

    Heads come with the two numbers of a pair side by side (`_paired`), so that turning them is one complex product.
    """

    def __init__(self, rotary: nn.Module, probe: Tensor) -> None:
        self._rotary = rotary
        self._probe = probe
        self._table = torch.zeros(0, 0, dtype=torch.complex64)  # [positions, D / 2]

    def at(self, positions: Tensor, end: int, *, uniform: bool) -> Tensor:
        """Return the turns of positions [B, q] below `end`, complex [B or 1, q, 1, D / 2].

        Args:
            positions: Consecutive in each row.
            end: Their bound.
            uniform: Whether all rows have the same positions, up to `end`.
        """
        if end > len(self._table):
            self._grow(max(256, 2 * end))
        if uniform:
            return self._table[None, end - positions.shape[1] : end, None]
        return self._table[positions][:, :, None]

    def _grow(self, size: int) -> None:
        cos, sin = self._rotary(self._probe, torch.arange(size)[None])
        half = cos.shape[-1] // 2
        self._table = torch.complex(cos[0, :, :half], sin[0, :, :half])


@dataclass(frozen=True, slots=True)
class LeanLayer:
    """One decoder layer."""

    kind: str
    """Of attention: which mask it takes."""
    heads: int
    kv_heads: int
    width: int
    """Of a head, D."""
    scaling: float
    floor: Tensor
    """Least mean square that a norm divides by: ε."""
    head_norms: tuple[Tensor, Tensor] | None
    """Gains over q and k heads (Qwen3)."""
    qkv: Linear
    out: Linear
    gate_up: Linear
    down: Linear

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights; the gains of norms are left out."""
        return sum(linear.memory_bytes for linear in (self.qkv, self.out, self.gate_up, self.down))

    def __call__(self, hidden: Tensor, rows: int, turn: Tensor, mask: Tensor | None, store: Any) -> None:
        """Add to the hidden states of all rows' tokens, [B·q, E], in place; writes the layer's keys and values.

        Args:
            hidden: The rows one after the other.
            rows: B.
            turn: Of the tokens' positions, complex [B or 1, q, 1, D / 2].
            mask: Additive, [B, 1, q·G, k] for G query heads a key head; None where every query sees every key.
            store: Keys and values.
        """
        parts = self.qkv.scaled(hidden, inverse_rms(hidden, self.floor))
        heads = parts.view(rows, -1, self.heads + 2 * self.kv_heads, self.width)
        self.out.add(self._attend(heads, turn, mask, store), hidden)
        gate, up = self.gate_up.scaled(hidden, inverse_rms(hidden, self.floor)).chunk(2, -1)
        self.down.add(silu(gate).mul_(up), hidden)

    def _attend(self, parts: Tensor, turn: Tensor, mask: Tensor | None, store: Any) -> Tensor:
        """Attend with q, k and v heads, [B, q, Hq + 2·Hkv, D]; returns [B·q, Hq·D].

        A key head's query heads lie beside each other, token by token, instead of repeating keys and values.
        """
        rows, count, _, width = parts.shape
        turned = self.heads + self.kv_heads
        qk = _turned(self._normed(parts[:, :, :turned]), turn)
        keys, values = store.update(qk[:, :, self.heads :].transpose(1, 2), parts[:, :, turned:].transpose(1, 2))
        grouped = (rows, count, self.kv_heads, self.heads // self.kv_heads, width)
        query = qk[:, :, : self.heads].view(grouped).transpose(1, 2).reshape(rows, self.kv_heads, -1, width)
        out = scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=self.scaling)  # [B, Hkv, q·G, D]
        by_head = out.reshape(rows, self.kv_heads, count, -1, width)
        return by_head.transpose(1, 2).reshape(rows * count, -1)

    def _normed(self, qk: Tensor) -> Tensor:
        if self.head_norms is None:
            return qk
        parts = zip((qk[:, :, : self.heads], qk[:, :, self.heads :]), self.head_norms, strict=True)
        return torch.cat([rms_norm(part, part.shape[-1:], gain, float(self.floor)) for part, gain in parts], 2)


class LeanDecoder:
    """The whole model."""

    kind = "lean"

    def __init__(self, network: Any) -> None:
        """Take a network's weights over; fused ones are copies, so the network may be dropped."""
        config, body = network.config, network.model
        self._embedding: Tensor = body.embed_tokens.weight.detach()
        self._rope = RopeTable(body.rotary_emb, self._embedding[:1, None])
        self._layers = [_layer(config, layer, i) for i, layer in enumerate(body.layers)]
        self._floor = torch.tensor(config.rms_norm_eps)
        self._groups = config.num_attention_heads // config.num_key_value_heads
        self._head = fuse([network.lm_head], gain=body.norm.weight.detach())

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights as they lie here."""
        return self._embedding.nbytes + sum(layer.memory_bytes for layer in self._layers) + self._head.memory_bytes

    def __call__(self, ids: Tensor, positions: Tensor, masks: Masks, kv: Cache, *, end: int, keep_last: bool) -> Tensor:
        """Return logits [B, q or 1, V].

        Args:
            ids: [B, q]
            positions: [B, q], below `end`.
            masks: What each kind of layer may see.
            kv: Takes the new keys and values.
            end: Bound of the positions.
            keep_last: Compute the last column alone.
        """
        rows, count = ids.shape
        hidden = self._embedding.index_select(0, ids.flatten())  # [B·q, E]
        turn = self._rope.at(positions, end, uniform=rows == 1 and int(positions[0, 0]) == end - count)
        of_kind = masks if isinstance(masks, Mapping) else {layer.kind: masks for layer in self._layers}
        folded = {kind: self._folded(mask) for kind, mask in of_kind.items()}
        for layer, store in zip(self._layers, kv.layers, strict=True):
            layer(hidden, rows, turn, folded[layer.kind], store)
        if keep_last:
            hidden = hidden.view(rows, count, -1)[:, -1]
        logits = self._head.scaled(hidden, inverse_rms(hidden, self._floor))
        return logits.view(rows, len(logits) // rows, -1)

    def _folded(self, mask: Tensor | None) -> Tensor | None:
        """Repeat a mask for the query heads of a key head, [B, 1, q, k] → [B, 1, q·G, k]; one query's is broadcast."""
        if mask is None or mask.shape[2] == 1:
            return mask
        return mask.repeat_interleave(self._groups, 2)


def lean_decoder(network: PreTrainedModel) -> LeanDecoder | None:
    """Return the lean forward of a network, None where it is not known to be the same computation."""
    return LeanDecoder(network) if knows(network) else None


def knows(network: PreTrainedModel) -> bool:
    """Whether a network computes what is written here: Llama's layers in float32 on a CPU, linear ones perhaps INT8."""
    config = network.config
    return (
        config.model_type in KINDS
        and type(network).__name__.endswith("ForCausalLM")
        and config.hidden_act == "silu"
        and network.dtype == torch.float32
        and network.device.type == "cpu"
        and _turns_whole_heads(network)
    )


def _turns_whole_heads(network: Any) -> bool:
    cos, _ = network.model.rotary_emb(torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.long))
    return bool(cos.shape[-1] == network.model.layers[0].self_attn.head_dim)


def _layer(config: Any, layer: Any, index: int) -> LeanLayer:
    attention, mlp = layer.self_attn, layer.mlp
    kinds: Sequence[str] | None = getattr(config, "layer_types", None)
    heads, kv_heads, width = config.num_attention_heads, config.num_key_value_heads, attention.head_dim
    pairs = _paired(width)
    head_norms = [norm.weight.detach()[pairs] for norm in _head_norms(attention)]
    places = torch.arange((heads + 2 * kv_heads) * width).view(-1, width)
    order = torch.cat((places[: heads + kv_heads, pairs], places[heads + kv_heads :]))
    return LeanLayer(
        kind=kinds[index] if kinds else "full_attention",
        heads=heads,
        kv_heads=kv_heads,
        scaling=attention.scaling,
        width=width,
        floor=torch.tensor(config.rms_norm_eps),
        head_norms=(head_norms[0], head_norms[1]) if head_norms else None,
        qkv=fuse(
            [attention.q_proj, attention.k_proj, attention.v_proj],
            gain=layer.input_layernorm.weight.detach(),
            order=order.flatten(),
        ),
        out=fuse([attention.o_proj]),
        gate_up=fuse([mlp.gate_proj, mlp.up_proj], gain=layer.post_attention_layernorm.weight.detach()),
        down=fuse([mlp.down_proj]),
    )


def _head_norms(attention: Any) -> list[Any]:
    return [attention.q_norm, attention.k_norm] if hasattr(attention, "q_norm") and hasattr(attention, "k_norm") else []


def _paired(width: int) -> Tensor:
    """Order of a head's numbers that puts i and i + D / 2, which turn together, side by side, [D]."""
    return torch.arange(width).view(2, -1).t().flatten()


def _turned(x: Tensor, turn: Tensor) -> Tensor:
    """Turn heads [B, q, H, D], pairs side by side."""
    pairs = torch.view_as_complex(x.view(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turn).flatten(-2)


def inverse_rms(x: Tensor, floor: Tensor) -> Tensor:
    """Return what RMS normalises by, 1 / √(mean x² + ε), [N, E] → [N, 1]."""
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return torch.addcmul(floor, norm, norm, value=1 / x.shape[-1]).rsqrt_()
