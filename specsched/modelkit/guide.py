"""A pull on a few heads' attention towards where copying looks, until they find it by themselves.

A model copies with a pair of heads: one hands on the token before, a later one looks for what followed the present
token where it stood before (induction heads, arXiv 2209.11895). Small models on little text don't come by them: neither
11 M tokens of text nor half a million with repeats left a trace of any in the reference target. Shown where to look,
heads held four fifths of their attention there after 0.4 M tokens; what they bring then teaches the model to use it.
"""

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

_TINY = 1e-6
"""Keeps the logarithm finite where attention is zero."""


class Watcher(Protocol):
    """Sees attention while a model computes it, and may wish for another."""

    @property
    def loss(self) -> Tensor | float:
        """What is amiss, in nats a position and head."""
        ...

    def see(self, layer: int, weights: Tensor, first: int) -> None:
        """Take a layer's attention of the queries from `first` on: [B, K, G, t, S], key heads with G queries each."""
        ...


class Onlooker:
    """Wishes for nothing."""

    loss: float = 0.0

    def see(self, layer: int, weights: Tensor, first: int) -> None:
        """Look away."""


ONLOOKER = Onlooker()


@dataclass(slots=True)
class Guide:
    """Wants the first query head of every key head on the token before, and a layer later on what followed."""

    ids: Tensor  # [B, T]
    layers: int
    _losses: list[Tensor] = field(default_factory=list)

    @property
    def loss(self) -> Tensor | float:
        """What the guided heads' attention lacks: the mean of -log of its share on the wanted keys."""
        return sum(self._losses) / max(1, len(self._losses))

    def see(self, layer: int, weights: Tensor, first: int) -> None:
        """Take note of the two guided layers."""
        before = min(1, self.layers - 2)
        if layer in {before, before + 1}:
            rows, keys = weights.shape[-2:]
            wanted = self._before(first, rows, keys) if layer == before else self._followers(first, rows, keys)
            share = (weights[:, :, 0].float() * wanted[:, None]).sum(-1)  # [B, K, t]
            lacking = -(share + _TINY).log() * wanted.any(-1)[:, None]
            self._losses.append(lacking.mean())

    def _before(self, first: int, rows: int, keys: int) -> Tensor:
        """The key of the token before: [1, t, S]."""
        return torch.ones(rows, keys, dtype=torch.bool, device=self.ids.device).tril(first - 1).triu(first - 1)[None]

    def _followers(self, first: int, rows: int, keys: int) -> Tensor:
        """Keys right after an earlier place of the query's token: [B, t, S]."""
        same = self.ids[:, first : first + rows, None] == self.ids[:, None, : keys - 1]
        return torch.nn.functional.pad(same, (1, 0)).tril(first)
