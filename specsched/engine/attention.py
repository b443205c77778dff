"""Attention over ragged rows, registered with transformers under the name `specsched`.

Grouped heads are folded into the query axis instead of repeating keys and values: with G query heads per key
head, [B, Hkv·G, q, D] is the same computation as [B, Hkv, G·q, D] under a mask repeated G times.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from specsched.engine.paged import paged_attention

NAME = "specsched"


def ragged_attention(
    module: nn.Module | None,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | BlockMask | None,
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    **_kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend every query to the keys that its row may see.

    Args:
        module: The attention module (unused; part of transformers' interface).
        query: [B, Hq, q, D]
        key: [B, Hkv, k, D]
        value: [B, Hkv, k, Dv]
        attention_mask: Additive, [B, 1, q, k]; None where every query sees every key. A block mask where keys and
            values are a whole pool, [1, Hkv, slots, D] (`paged`).
        scaling: Factor on the scores; D^-1/2 when None.
        softcap: Gemma 2's bound on the scores, s ← c·tanh(s / c).

    Returns:
        [B, q, Hq, Dv], and no weights.
    """
    del module
    if isinstance(attention_mask, BlockMask):
        out = paged_attention(query, key, value, attention_mask, scaling, softcap)
        return out.transpose(1, 2).contiguous(), None
    rows, heads, width, _ = query.shape
    groups = heads // key.shape[1]
    folded = query.reshape(rows, key.shape[1], groups * width, -1)
    mask = _folded_mask(attention_mask, groups)
    if softcap is None:
        out = scaled_dot_product_attention(folded, key, value, attn_mask=mask, scale=scaling)
    else:
        out = _softcapped(folded, key, value, mask, scaling, softcap)
    return out.reshape(rows, heads, width, -1).transpose(1, 2).contiguous(), None


def _folded_mask(mask: Tensor | None, groups: int) -> Tensor | None:
    """Repeat a mask for the query heads that are folded into its query axis; one query's is broadcast instead."""
    if mask is None or groups == 1 or mask.shape[2] == 1:
        return mask
    rows, _, width, keys = mask.shape
    return mask.expand(rows, groups, width, keys).reshape(rows, 1, groups * width, keys)


def _softcapped(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float | None, softcap: float
) -> Tensor:
    scores = query @ key.transpose(-1, -2) * (scaling if scaling is not None else query.shape[-1] ** -0.5)
    scores = softcap * torch.tanh(scores / softcap)
    if mask is not None:
        scores = scores + mask
    return scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype) @ value


def causal_mask(positions: Tensor, keys: int, dtype: torch.dtype, sliding_window: int | None = None) -> Tensor:
    """Additive mask: the query at position i sees keys 0 … i, or the last `sliding_window` of them.

    Args:
        positions: [B, q]
        keys: Length k of the key axis.
        dtype: Of the scores.
        sliding_window: How many keys a query sees, itself included.

    Returns:
        [B, 1, q, k], 0 where seen and the dtype's minimum where not.
    """
    column = torch.arange(keys, device=positions.device)
    hidden = column > positions[:, None, :, None]
    if sliding_window is not None:
        hidden |= column <= positions[:, None, :, None] - sliding_window
    return torch.zeros(hidden.shape, dtype=dtype, device=positions.device).masked_fill_(hidden, torch.finfo(dtype).min)


AttentionInterface.register(NAME, ragged_attention)
