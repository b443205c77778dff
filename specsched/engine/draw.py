"""Drawing tokens from laws, by noise that is keyed by position. All positions at hand are drawn together."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from specsched.engine.peaks import best_tokens

Gumbel = Callable[[int, int, torch.device], Tensor]
"""A request's noise (`noise.gumbel`): position, size of the vocabulary, device → float64 [V]."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One position to draw at."""

    greedy: bool
    gumbel: Gumbel
    position: int
    """Output position, 0 for the completion's first token."""

    def choice(self, shaped: Tensor) -> int:
        """Return arg max(log p + g), g = 0 when greedy, from the logits of the law, [V]."""
        if self.greedy:
            return int(best_tokens(shaped))
        return int(best_tokens(shaped + self.gumbel(self.position, len(shaped), shaped.device)))


def draw(weights: Tensor, units: Sequence[float]) -> list[int]:
    """Draw one token from each row of unnormalised weights, by inverting its cumulative sum at a number in [0, 1).

    Float64, so that the law drawn from is the weights' to 1e-12 at any vocabulary size; a token of weight 0 is
    never drawn.

    Args:
        weights: [N, V]
        units: N numbers.
    """
    cumulative = weights.cumsum(-1, dtype=torch.float64)
    totals = cumulative[:, -1].tolist()  # a product may round up to its total, which nothing is searched beyond
    places = [min(unit * total, math.nextafter(total, 0.0)) for unit, total in zip(units, totals, strict=True)]
    target = torch.tensor(places, dtype=torch.float64, device=weights.device)[:, None]
    return torch.searchsorted(cumulative, target, right=True)[:, 0].tolist()


def coupled_choices(shaped: Tensor, spots: Sequence[Spot]) -> list[int]:
    """Return arg max(log p + g) at each spot, g its Gumbel noise (arXiv 2408.07978).

    Args:
        shaped: [N, V], logits of the laws.
        spots: N positions of coupled rows.
    """
    if all(spot.greedy for spot in spots):
        return best_tokens(shaped).tolist()
    return [spot.choice(of_spot) for of_spot, spot in zip(shaped, spots, strict=True)]
