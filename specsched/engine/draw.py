"""Drawing a token from a law, by noise that is keyed by position."""

import torch
from torch import Tensor

from specsched.engine.noise import Purpose, gumbel, uniform
from specsched.records import Sampling


def draw(weights: Tensor, unit: float) -> int:
    """Draw from unnormalised weights [V] by inverting their cumulative sum at `unit` in [0, 1).

    Float64, so that the law drawn from is the weights' to 1e-12 at any vocabulary size; a token of weight 0 is
    never drawn.
    """
    cumulative = weights.cumsum(-1, dtype=torch.float64)
    index = int(torch.searchsorted(cumulative, unit * cumulative[-1], right=True))
    return index if index < len(weights) else int(weights.nonzero()[-1])  # the product was rounded up to the sum


def coupled_choice(shaped: Tensor, sampling: Sampling, seed: int, position: int) -> int:
    """Return arg max(log p + g), g the Gumbel noise of (seed, position); g = 0 when greedy (arXiv 2408.07978).

    Args:
        shaped: [V], logits of the law.
        sampling: Says whether the row is greedy.
        seed: Of the request.
        position: Output position, 0 for the completion's first token.
    """
    if sampling.greedy:
        return int(shaped.argmax())
    return int((shaped.double() + gumbel(seed, position, len(shaped), shaped.device)).argmax())


def draft_choice(shaped: Tensor, sampling: Sampling, seed: int, position: int) -> tuple[int, Tensor | None]:
    """Draw a draft's token by the row's mode.

    Returns:
        The token, and the law that it was drawn from, float32 [V]; None for a coupled row, where it is not needed.
    """
    if sampling.coupled:
        return coupled_choice(shaped, sampling, seed, position), None
    law = shaped.softmax(-1, dtype=torch.float32)
    return draw(law, uniform(seed, position, Purpose.DRAFT)), law
