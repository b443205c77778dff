"""A draft's form, and its start from the target's own weights.

Embeddings: the target's output embedding in its d main directions, E ≈ (U S) Vᵀ, so that tied logits begin as the
best rank-d copy. Layers: the target's first and last ones seen through V (W → W·diag(gain)·V, heads of the target's
own size so that rotary frequencies fit). Training moves all of it; the start saves most of the way.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from specsched.errors import SetupError
from specsched.modelkit.language_model import LanguageModel


@dataclass(frozen=True, slots=True)
class DraftShape:
    """A small Llama with tied embeddings."""

    width: int = 96
    layers: int = 1
    mlp: int = 256
    heads: int = 2
    key_value_heads: int = 1

    def __post_init__(self) -> None:
        if self.width % self.heads or self.heads % self.key_value_heads:
            raise SetupError(
                f"no draft of width {self.width} with {self.heads} heads and {self.key_value_heads} key-value heads: "
                "each must divide the one before"
            )


@dataclass(frozen=True, slots=True)
class Basis:
    """The main directions of the target's output embedding."""

    embedding: Tensor  # [V, d]
    directions: Tensor  # [D, d]


def build_draft(target: LanguageModel, shape: DraftShape, seed: int) -> LanguageModel:
    """A draft of this shape for this target, warm where the target's layers are Llama's, in float32."""
    torch.manual_seed(seed)
    network = _blank(target, shape)
    basis = main_directions(target.network.get_output_embeddings().weight.detach().float().cpu(), shape.width)
    with torch.no_grad():
        network.get_input_embeddings().weight.copy_(basis.embedding)
        layers = getattr(target.network.base_model, "layers", None)
        if layers is not None and hasattr(getattr(layers[0], "mlp", None), "gate_proj"):
            for ours, theirs in zip(network.model.layers, _spread(layers, shape.layers), strict=True):
                _project(ours, theirs, basis.directions)
    return LanguageModel(network.to(target.network.device), target.tokenizer, target.path)


def main_directions(embedding: Tensor, width: int) -> Basis:
    """Truncated singular value decomposition of [V, D]; padded with noise where width > D."""
    _, values, right = torch.linalg.svd(embedding, full_matrices=False)
    kept = min(width, len(values))
    directions = torch.zeros(embedding.shape[1], width)
    directions[:, :kept] = right[:kept].T
    copied = embedding @ directions
    copied[:, kept:] = 0.02 * torch.randn(len(copied), width - kept)
    return Basis(copied, directions)


def _blank(target: LanguageModel, shape: DraftShape) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415  # seconds to import

    theirs = target.network.config
    eos = sorted(target.eos_ids)
    config = LlamaConfig(
        vocab_size=target.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.mlp,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        head_dim=_head_size(theirs),
        max_position_embeddings=target.context_tokens,
        rope_parameters=getattr(theirs, "rope_parameters", None) or {"rope_type": "default", "rope_theta": 10_000.0},
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        bos_token_id=theirs.bos_token_id,
        eos_token_id=(eos[0] if len(eos) == 1 else eos) if eos else None,
        pad_token_id=getattr(theirs, "pad_token_id", None),
    )
    return LlamaForCausalLM(config)


def _head_size(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _spread(layers: nn.ModuleList, count: int) -> list[nn.Module]:
    """`count` layers from the first to the last."""
    last = len(layers) - 1
    return [layers[round(i * last / max(1, count - 1))] for i in range(count)]


def _project(ours: Any, theirs: Any, directions: Tensor) -> None:
    """Copy one layer through the directions; heads and MLP units are the first and the strongest ones."""
    before = theirs.input_layernorm.weight.float().cpu()
    for name in ("q_proj", "k_proj", "v_proj"):
        _copy_rows(getattr(ours.self_attn, name), getattr(theirs.self_attn, name), before, directions)
    out = theirs.self_attn.o_proj.weight.float().cpu()[:, : ours.self_attn.o_proj.weight.shape[1]]
    ours.self_attn.o_proj.weight[:, : out.shape[1]].copy_(directions.T @ out)
    _project_mlp(ours.mlp, theirs.mlp, theirs.post_attention_layernorm.weight.float().cpu(), directions)


def _copy_rows(ours: Any, theirs: Any, gain: Tensor, directions: Tensor) -> None:
    rows = min(len(ours.weight), len(theirs.weight))
    ours.weight[:rows].copy_((theirs.weight.float().cpu()[:rows] * gain) @ directions)


def _project_mlp(ours: Any, theirs: Any, gain: Tensor, directions: Tensor) -> None:
    down = theirs.down_proj.weight.float().cpu()
    kept = down.norm(dim=0).topk(min(len(ours.gate_proj.weight), down.shape[1])).indices
    for name in ("gate_proj", "up_proj"):
        weight = getattr(theirs, name).weight.float().cpu()[kept]
        getattr(ours, name).weight[: len(kept)].copy_((weight * gain) @ directions)
    ours.down_proj.weight[:, : len(kept)].copy_(directions.T @ down[:, kept])
