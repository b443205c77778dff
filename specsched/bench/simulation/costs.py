"""Costs as they are on a GPU and on a CPU, in seconds, and as a profile sees them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from specsched.records import CostGrid, CostPoint, DraftCost

DRAFTS = ("tiny", "small", "large", "ngram")

_POSITIONS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 24, 32, 48, 64, 65, 96, 128, 192, 256)
_CONTEXTS = (64, 1024, 4096)
_BATCH = 16
PROFILE_ERROR = 0.03
"""Standard deviation of a profiled point, relative."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine is like; all but `plain_seconds` in units of it."""

    plain_seconds: float
    """One row's plain step."""
    position: float
    """Each further verified position, up to a tile's edge."""
    tile: float
    """Each further 64 positions: a staircase."""
    context: float
    """Each 1,000 tokens of context, in every step."""
    steps: Mapping[str, float]
    """One drafted position, by draft."""
    batch: float
    """A draft's step at `_BATCH` rows ÷ at one."""
    overhead: float
    """Once a round, of every draft that is a model."""

    def grid(self) -> CostGrid:
        """Its true costs."""
        verify = tuple(CostPoint(n, at, self._verify(n, at)) for at in _CONTEXTS for n in _POSITIONS)
        return CostGrid(1, verify, tuple(self._draft(name) for name in self.steps))

    def _verify(self, positions: int, context: int) -> float:
        tiles = (positions - 1) // 64
        units = 1 + self.position * (positions - 1) + self.tile * tiles + self.context * context / 1000
        return units * self.plain_seconds

    def _draft(self, name: str) -> DraftCost:
        step, model = self.steps[name] * self.plain_seconds, name != "ngram"
        far = step * (1 + self.context * (_CONTEXTS[1] - _CONTEXTS[0]) / 1000)
        points = (CostPoint(1, 64, step), CostPoint(_BATCH, 64, step * self.batch), CostPoint(1, 1024, far))
        overhead = self.overhead * self.plain_seconds if model else 0.0
        prefill = step * self.position if model else 0.0
        return DraftCost(name, overhead, points, prefill)


MACHINES: Mapping[str, Machine] = {
    "gpu": Machine(
        plain_seconds=0.02,
        position=0.002,
        tile=0.25,
        context=0.03,
        steps={"tiny": 0.05, "small": 0.11, "large": 0.22, "ngram": 0.001},
        batch=1.1,
        overhead=0.02,
    ),
    "cpu": Machine(
        plain_seconds=0.05,
        position=0.13,
        tile=0.0,
        context=0.1,
        steps={"tiny": 0.05, "small": 0.12, "large": 0.3, "ngram": 0.001},
        batch=3.0,
        overhead=0.03,
    ),
}


def profiled(grid: CostGrid, random: np.random.Generator, target: float = 1.0, drafts: float = 1.0) -> CostGrid:
    """What a profile says of true costs: every point off by a few per cent, and all by the factors given."""
    verify = tuple(_seen(point, random, target) for point in grid.verify)
    return replace(grid, verify=verify, drafts=tuple(_seen_draft(draft, random, drafts) for draft in grid.drafts))


def _seen_draft(draft: DraftCost, random: np.random.Generator, factor: float) -> DraftCost:
    return DraftCost(
        draft.draft_model,
        draft.overhead_seconds * factor,
        tuple(_seen(point, random, factor) for point in draft.steps),
        draft.prefill_seconds_per_token * factor,
    )


def _seen(point: CostPoint, random: np.random.Generator, factor: float) -> CostPoint:
    error = float(np.exp(PROFILE_ERROR * random.standard_normal()))
    return replace(point, seconds=point.seconds * factor * error)
