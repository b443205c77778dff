"""Whether attention can follow the tables of blocks on a device: found out by trying."""

from collections.abc import Callable
from functools import cache

import structlog
import torch
from torch import Tensor

from specsched.engine.attention import causal_mask, ragged_attention
from specsched.engine.paged import page_mask, paged_attention

log = structlog.get_logger()

_SIZE = 16
_TOLERANCE = 2e-2
"""In bfloat16, of values around 1."""


@cache
def follows_tables(device: torch.device, dtype: torch.dtype, head_dim: int) -> bool:
    """Whether `paged_attention` runs there and agrees with gathering: on GPUs it may, on a CPU gathering is faster."""
    if device.type != "cuda":
        return False
    try:
        off = disagreement(device, dtype, head_dim=head_dim)
    except Exception as error:  # noqa: BLE001 - compilers raise what they like; gathering always works
        log.warning("attention_gathers_blocks", reason=(str(error).strip() or type(error).__name__).splitlines()[0])
        return False
    if not off <= _TOLERANCE:
        log.warning("attention_gathers_blocks", reason=f"following the tables differs by {off:.3g}")
    return off <= _TOLERANCE


@torch.inference_mode()
def disagreement(
    device: torch.device,
    dtype: torch.dtype,
    span: int | None = None,
    softcap: float | None = None,
    head_dim: int = 64,
    attend: Callable[..., Tensor] = paged_attention,
) -> float:
    """Return the largest difference of the two ways on three ragged rows, the third without tokens of its own."""
    heads, kv_heads, width, blocks = 8, 2, 5, 9
    torch.manual_seed(0)
    table = torch.zeros(3, blocks, dtype=torch.long, device=device)
    table[0, :2], table[1, :4] = torch.tensor([3, 1]), torch.tensor([7, 2, 5, 8])
    starts, counts = torch.tensor([[20], [43], [0]], device=device), torch.tensor([5, 3, 0], device=device)
    positions = starts + torch.arange(width, device=device)
    pool = torch.randn(2, blocks * _SIZE, kv_heads, head_dim, dtype=dtype, device=device)
    query = torch.randn(3, heads, width, head_dim, dtype=dtype, device=device)
    keys, values = pool.transpose(1, 2)[:, None]  # [1, Hkv, slots, D] each
    mask = page_mask(positions, table, counts, (blocks, _SIZE), span)
    ours = attend(query, keys, values, mask, None, softcap)
    theirs = _gathered(query, pool, table, positions, span, softcap)
    own = (torch.arange(width, device=device) < counts[:, None])[:, None, :, None]
    assert torch.isfinite(ours).all(), "padding has to be numbers"
    return float(((ours - theirs) * own).abs().max())


def _gathered(
    query: Tensor, pool: Tensor, table: Tensor, positions: Tensor, span: int | None, softcap: float | None
) -> Tensor:
    slots = (table[:, :, None] * _SIZE + torch.arange(_SIZE, device=table.device)).flatten(1)
    keys, values = pool[:, slots].transpose(2, 3)  # [B, Hkv, end, D] each
    mask = causal_mask(positions, slots.shape[1], query.dtype, span)
    out, _ = ragged_attention(None, query, keys, values, mask, softcap=softcap)
    return out.transpose(1, 2)
