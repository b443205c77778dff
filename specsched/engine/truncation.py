"""top_k and top_p over positions of any vocabulary, without sorting what cannot be kept."""

import torch
from torch import Tensor

_HEADS = (64, 512)
"""Likeliest tokens that are looked at before all are: to find 64 of 4,096 takes a thirtieth of sorting them."""


def truncate(logits: Tensor, top_k: Tensor, top_p: Tensor) -> Tensor:
    """Keep the k likeliest tokens, then the fewest of them that hold mass p. At least one token stays.

    Ties are broken by token id, so that the same logits always keep the same set, whatever stands beside them.

    Args:
        logits: [N, V].
        top_k: [N], 1 to V; V keeps all.
        top_p: [N], above 0; 1 keeps all.

    Returns:
        [N, V], -inf where a token is cut off.
    """
    vocab = logits.shape[-1]
    if logits.device.type != "cpu":  # there, to ask whether a head is enough costs a wait
        return _kept_of(logits, top_k, top_p, vocab)[0]
    kept = torch.empty_like(logits)
    unsettled = torch.arange(len(logits))
    for width in (*(head for head in _HEADS if head < vocab), vocab):
        kept[unsettled], settled = _kept_of(logits[unsettled], top_k[unsettled], top_p[unsettled], width)
        unsettled = unsettled[~settled]
        if not len(unsettled):
            break
    return kept


def _kept_of(logits: Tensor, top_k: Tensor, top_p: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """What stays of the `width` likeliest tokens, [N, V], and whether no other token could stay, [N]."""
    vocab = logits.shape[-1]
    ordered, index = _likeliest(logits, width)
    least = ordered[:, -1]
    ordered = ordered.masked_fill(torch.arange(width, device=logits.device) >= top_k[:, None], -torch.inf)
    peak = ordered[:, :1].double()
    mass = (ordered - peak).exp()
    mass /= torch.where(top_k < vocab, mass.sum(-1), (logits - peak).exp().sum(-1))[:, None]
    before = mass.cumsum(-1) - mass
    dropped = (before >= top_p[:, None]) & (top_p < 1.0)[:, None]
    dropped[:, 0] = False
    ordered = ordered.masked_fill(dropped, -torch.inf)
    last = ordered.masked_fill(ordered == -torch.inf, torch.inf).amin(-1)
    settled = (last > least) & ((top_k <= width) | (top_k == vocab))  # ties with the least may lie outside
    return torch.full_like(logits, -torch.inf).scatter_(-1, index, ordered), settled


def _likeliest(logits: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The likeliest tokens and their ids, [N, width], falling; equal ones by id."""
    if width == logits.shape[-1]:
        ordered, index = logits.sort(dim=-1, descending=True, stable=True)
        return ordered, index
    index = logits.topk(width, sorted=False).indices.sort(dim=-1).values
    ordered, places = logits.gather(-1, index).sort(dim=-1, descending=True, stable=True)
    return ordered, index.gather(-1, places)
