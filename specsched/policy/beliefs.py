"""Betas on the hazards of several drafts, for one prompt, and what is drawn from them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specsched.records import Beta

Array = NDArray[np.float64]

EDGE = 1e-3
"""Hazards are believed no nearer to 0 and 1."""

_LEVEL_SHARE = 0.8
"""Of the variance of a draft's hazards, what all positions share."""


@dataclass(frozen=True, slots=True)
class Beliefs:
    """Betas on the hazards of several drafts, for one prompt."""

    drafts: tuple[str, ...]
    a: Array
    b: Array
    """[D, J]."""

    @property
    def means(self) -> Array:
        """Expected hazards, [D, J]."""
        return self.a / (self.a + self.b)

    def draw(self, random: np.random.Generator, samples: int, boldness: float) -> Array:
        """Draw hazards, [S, D, J]: normal in logits with the Betas' means and that much of their standard deviations.

        Doubt about a draft is mostly about its level, the same at every position: positions drawn independently
        would average it away, and a draft that might be good would hardly be tried.
        """
        total = self.a + self.b
        means = self.a / total
        against = 1 - means
        spread = 1 / np.sqrt((total + 1) * means * against)
        level = random.standard_normal((samples, len(self.drafts), 1))
        normal = random.standard_normal((samples, *means.shape))
        normal *= (1 - _LEVEL_SHARE) ** 0.5
        normal += _LEVEL_SHARE**0.5 * level
        normal *= -boldness * spread
        odds = np.exp(normal, out=normal)  # against: those of the mean are (1 − m) / m
        odds *= against / means
        odds += 1
        return np.asarray(np.reciprocal(odds, out=odds))

    def of(self, draft: str) -> tuple[Beta, ...]:
        """One draft's, position 1 first."""
        index = self.drafts.index(draft)
        return tuple(map(Beta, self.a[index].tolist(), self.b[index].tolist()))


def expected_tokens(hazards: NDArray[np.floating[Any]]) -> Array:
    """E[tokens of a round | γ] = 1 + Σ_{j≤γ} Π_{i≤j} α_i for γ = 0 … J; [..., J] → [..., J + 1]."""
    lengths = np.ones((*hazards.shape[:-1], hazards.shape[-1] + 1))
    np.cumprod(hazards, axis=-1, out=lengths[..., 1:])
    return np.cumsum(lengths, axis=-1, out=lengths)
