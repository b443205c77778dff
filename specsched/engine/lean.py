"""A lean forward for the Llama family: what transformers computes, in a third of the calls.

A small model's step is overhead, not arithmetic. Here q, k and v are one product, gate and up another, positions
are turned by a table, and nothing is dispatched through modules. Architectures that it does not know run through
transformers (`lean_decoder` gives None). Token for token the same; the two differ by rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, rms_norm, silu
from transformers import Cache, PreTrainedModel

from specsched.engine.attention import ragged_attention
from specsched.engine.linear import Linear, fuse

KINDS = ("llama", "mistral", "qwen2", "qwen3")
Masks = Tensor | Mapping[str, Tensor | None] | None
"""Additive [B, 1, q, k], None where every query sees every key; by kind of layer where there are several."""


class RopeTable:
    """cos and sin of every position so far asked for, taken from the model's own rotary embedding."""

    def __init__(self, rotary: nn.Module, probe: Tensor) -> None:
        self._rotary = rotary
        self._probe = probe
        self._cos = self._sin = probe.new_empty(0, 0)

    def at(self, positions: Tensor, end: int) -> tuple[Tensor, Tensor]:
        """Return cos and signed sin at positions [B, q] below `end`, each [B, q, 1, D]."""
        if end > len(self._cos):
            self._grow(max(256, 2 * end))
        return embedding(positions, self._cos)[:, :, None], embedding(positions, self._sin)[:, :, None]

    def _grow(self, size: int) -> None:
        cos, sin = self._rotary(self._probe, torch.arange(size)[None])
        half = sin.shape[-1] // 2
        self._cos, self._sin = cos[0], torch.cat((-sin[0, :, :half], sin[0, :, half:]), -1)


@dataclass(frozen=True, slots=True)
class LeanLayer:
    """One decoder layer."""

    kind: str
    """Of attention: which mask it takes."""
    heads: int
    kv_heads: int
    scaling: float
    eps: float
    norms: tuple[Tensor, Tensor]
    """Gains before attention and before the MLP."""
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

    def __call__(self, hidden: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor | None, store: Any) -> Tensor:
        """Run on hidden states [B, q, E]; writes the layer's keys and values."""
        width = hidden.shape[-1:]
        attended = self._attend(rms_norm(hidden, width, self.norms[0], self.eps), turn, mask, store)
        hidden = hidden + self.out(attended)
        gate, up = self.gate_up(rms_norm(hidden, width, self.norms[1], self.eps)).chunk(2, -1)
        return hidden + self.down(silu(gate).mul_(up))

    def _attend(self, x: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor | None, store: Any) -> Tensor:
        rows, count, _ = x.shape
        turned = self.heads + self.kv_heads
        parts = self.qkv(x).view(rows, count, turned + self.kv_heads, -1)  # [B, q, Hq + 2·Hkv, D]
        qk = _rotate(self._normed(parts[:, :, :turned]), turn)
        key, value = qk[:, :, self.heads :].transpose(1, 2), parts[:, :, turned:].transpose(1, 2)
        keys, values = store.update(key, value)
        query = qk[:, :, : self.heads].transpose(1, 2)
        attended, _ = ragged_attention(None, query, keys, values, mask, scaling=self.scaling)
        return attended.flatten(2)

    def _normed(self, qk: Tensor) -> Tensor:
        if self.head_norms is None:
            return qk
        parts = zip((qk[:, :, : self.heads], qk[:, :, self.heads :]), self.head_norms, strict=True)
        return torch.cat([rms_norm(part, part.shape[-1:], gain, self.eps) for part, gain in parts], 2)


class LeanDecoder:
    """The whole model."""

    def __init__(self, network: Any) -> None:
        """Take a network's weights over; fused ones are copies, so the network may be dropped."""
        config, body = network.config, network.model
        self._embedding: Tensor = body.embed_tokens.weight.detach()
        self._rope = RopeTable(body.rotary_emb, self._embedding[:1, None])
        self._layers = [_layer(config, layer, i) for i, layer in enumerate(body.layers)]
        self._norm, self._eps = body.norm.weight.detach(), config.rms_norm_eps
        self._head = fuse([network.lm_head])

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
        hidden = embedding(ids, self._embedding)  # [B, q, E]
        turn = self._rope.at(positions, end)
        for layer, store in zip(self._layers, kv.layers, strict=True):
            hidden = layer(hidden, turn, masks[layer.kind] if isinstance(masks, Mapping) else masks, store)
        if keep_last:
            hidden = hidden[:, -1:]
        return self._head(rms_norm(hidden, hidden.shape[-1:], self._norm, self._eps))


def lean_decoder(network: PreTrainedModel) -> LeanDecoder | None:
    """Return the lean forward of a network, None where it is not known to be the same computation."""
    config = network.config
    known = (
        config.model_type in KINDS
        and type(network).__name__.endswith("ForCausalLM")
        and config.hidden_act == "silu"
        and network.dtype == torch.float32
        and network.device.type == "cpu"
        and _turns_whole_heads(network)
    )
    return LeanDecoder(network) if known else None


def _turns_whole_heads(network: Any) -> bool:
    cos, _ = network.model.rotary_emb(torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.long))
    return bool(cos.shape[-1] == network.model.layers[0].self_attn.head_dim)


def _layer(config: Any, layer: Any, index: int) -> LeanLayer:
    attention, mlp = layer.self_attn, layer.mlp
    kinds: Sequence[str] | None = getattr(config, "layer_types", None)
    head_norms = (attention.q_norm.weight.detach(), attention.k_norm.weight.detach()) if _has_norms(attention) else None
    return LeanLayer(
        kind=kinds[index] if kinds else "full_attention",
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        scaling=attention.scaling,
        eps=config.rms_norm_eps,
        norms=(layer.input_layernorm.weight.detach(), layer.post_attention_layernorm.weight.detach()),
        head_norms=head_norms,
        qkv=fuse([attention.q_proj, attention.k_proj, attention.v_proj]),
        out=fuse([attention.o_proj]),
        gate_up=fuse([mlp.gate_proj, mlp.up_proj]),
        down=fuse([mlp.down_proj]),
    )


def _has_norms(attention: Any) -> bool:
    return hasattr(attention, "q_norm") and hasattr(attention, "k_norm")


def _rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions (Su et al. 2021, arXiv 2104.09864): the halves swapped, the first one's sign in the sines."""
    cos, sin = turn
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)
