"""Attention over blocks where they lie: nothing is gathered, and grouped heads share their keys.

FlexAttention (Dong et al. 2024, arXiv 2412.05496) follows a row's table through a block mask whose key blocks are the
pool's. Its mask is asked in places of the pool, so each row needs the way back, from a block to its place in the row.
On a CPU, or uncompiled, it computes all scores of the pool: right, and slow.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import torch
import torch._dynamo
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

COMPILED = 128
"""Kernels at most: for every model and kind of layer, by whether rows, queries or blocks are one or more."""
QUERY_BLOCK = 128
"""Queries of a row that share key blocks; a verification has fewer."""


def page_mask(positions: Tensor, table: Tensor, counts: Tensor, pool: tuple[int, int], span: int | None) -> BlockMask:
    """Say which keys of a pool each query sees: those of its row's blocks, up to its position.

    Args:
        positions: Of the queries in their rows, [B, q], consecutive.
        table: Each row's blocks, [B, blocks]; block 0 stands where it has none.
        counts: [B], queries that are a row's own. A row without any sees block 0, so that it computes numbers.
        pool: Blocks, and tokens in each.
        span: How many keys a query sees, itself included; None for all.
    """
    blocks, size = pool
    rows, width = positions.shape
    places = torch.arange(table.shape[1], device=table.device)
    back = torch.full((rows, blocks), -1, device=table.device)  # block → place in the row, -1 where it isn't its own
    back.scatter_(1, table, places.expand(rows, -1))
    back[:, 0] = torch.where(counts > 0, -1, 0)

    def sees(row: Tensor, _head: Tensor, query: Tensor, slot: Tensor) -> Tensor:
        place = back[row, slot // size]
        key, last = place * size + slot % size, positions[row, query]
        seen = (place >= 0) & (key <= last)
        return seen if span is None else seen & (key > last - span)

    filled = (positions[:, 0] + counts.clamp(min=1) + size - 1) // size  # [B]
    return BlockMask.from_kv_blocks(
        filled.int()[:, None, None],
        table.int()[:, None, None, :],
        BLOCK_SIZE=(QUERY_BLOCK, size),
        mask_mod=sees,
        seq_lengths=(width, blocks * size),
        compute_q_blocks=False,
    )


def paged_attention(
    query: Tensor, keys: Tensor, values: Tensor, mask: BlockMask, scaling: float | None, softcap: float | None
) -> Tensor:
    """Attend over a pool.

    Args:
        query: [B, Hq, q, D]
        keys: [1, Hkv, slots, D]
        values: [1, Hkv, slots, Dv]
        mask: `page_mask`'s.
        scaling: Factor on the scores; D^-1/2 when None.
        softcap: Gemma 2's bound on the scores.

    Returns:
        [B, Hq, q, Dv]
    """
    capped = None if softcap is None else _capped(softcap)
    if query.device.type != "cuda":
        return flex_attention(query, keys, values, capped, mask, scaling, enable_gqa=True)
    torch._dynamo.mark_static(query, 0)  # noqa: SLF001 - the kernel for few queries wants to know the rows
    return cast("Tensor", _compiled()(query, keys, values, capped, mask, scaling, enable_gqa=True))


def _capped(softcap: float) -> Callable[..., Tensor]:
    def capped(score: Tensor, *_where: Tensor) -> Tensor:
        return softcap * torch.tanh(score / softcap)

    return capped


@cache
def _compiled() -> Any:
    """Compile once; sizes of 1 and the models' heads compile apart. Never fall back to all scores in silence."""
    torch._dynamo.config.recompile_limit = max(COMPILED, torch._dynamo.config.recompile_limit)  # noqa: SLF001
    return torch.compile(flex_attention, fullgraph=True)
