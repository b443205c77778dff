"""Drawing tokens from laws, by noise that is keyed by position. All positions at hand are drawn together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from specsched.engine.noise import gumbel
from specsched.engine.peaks import best_tokens
from specsched.records import Job


@dataclass(frozen=True, slots=True)
class Spot:
    """One position to draw at."""

    job: Job
    position: int
    """Output position, 0 for the completion's first token."""


def draw(weights: Tensor, units: Sequence[float]) -> list[int]:
    """Draw one token from each row of unnormalised weights, by inverting its cumulative sum at a number in [0, 1).

    Float64, so that the law drawn from is the weights' to 1e-12 at any vocabulary size; a token of weight 0 is
    never drawn.

    Args:
        weights: [N, V]
        units: N numbers.
    """
    cumulative = weights.cumsum(-1, dtype=torch.float64)
    total = cumulative[:, -1:]
    target = torch.tensor(units, dtype=torch.float64, device=weights.device)[:, None] * total
    target = torch.minimum(target, torch.nextafter(total, torch.zeros_like(total)))  # the product may round up to it
    return torch.searchsorted(cumulative, target, right=True)[:, 0].tolist()


def coupled_choices(shaped: Tensor, spots: Sequence[Spot]) -> list[int]:
    """Return arg max(log p + g) at each spot, g its Gumbel noise; g = 0 when greedy (arXiv 2408.07978).

    Args:
        shaped: [N, V], logits of the laws.
        spots: N positions of coupled rows.
    """
    if not all(spot.job.sampling.greedy for spot in spots):
        shaped = torch.stack([_perturbed(row, spot) for row, spot in zip(shaped, spots, strict=True)])
    return best_tokens(shaped).tolist()


def _perturbed(shaped: Tensor, spot: Spot) -> Tensor:
    if spot.job.sampling.greedy:
        return shaped.double()
    return shaped + gumbel(spot.job.noise_seed, spot.position, len(shaped), shaped.device)
