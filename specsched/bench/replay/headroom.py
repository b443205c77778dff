"""What there is to adapt to: the best static arm per class against the best one for all.

Arms take what they take on the recorded paths, in the mean over what can be accepted. Every cell, a class greedy or
sampled, brings as many tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from specsched.bench.evaluation.static import StaticTimes, static_arms
from specsched.bench.evaluation.world import Array, World, WorldRequest
from specsched.bench.replay.recording import Recording
from specsched.policy.base import Arm
from specsched.records import CostGrid

Cell = tuple[str, bool]
"""(class, whether it is sampled)."""


@dataclass(frozen=True, slots=True)
class Gain:
    """Goodput over plain decoding's."""

    arm: Arm
    over_plain: float
    """The best arm's."""
    global_over_plain: float
    """That of the best arm for all."""


@dataclass(frozen=True, slots=True)
class Headroom:
    """By cell and over all."""

    cells: Mapping[Cell, Gain]
    overall: Gain
    """Its arm is the best one for all."""

    @property
    def gain(self) -> float:
        """Share by which the best arms per cell win over the best one for all."""
        return self.overall.over_plain / self.overall.global_over_plain - 1


def headroom(chosen_on: Recording, judged_on: Recording, costs: CostGrid) -> Headroom:
    """Choose the best arms on some paths and judge them on others; in hindsight where they are the same ones."""
    arms = static_arms(_world(judged_on, costs))
    seen, judged = (_seconds_per_token(_world(paths, costs)) for paths in (chosen_on, judged_on))
    everywhere = np.sum(list(seen.values()), axis=0)
    for_all = int(everywhere.argmin())
    best = {cell: int(seen.get(cell, everywhere).argmin()) for cell in judged}
    cells = {cell: Gain(arms[best[cell]], *_over_plain(of[[0, best[cell], for_all]])) for cell, of in judged.items()}
    taken = np.mean([of[[0, best[cell], for_all]] for cell, of in judged.items()], axis=0)
    return Headroom(cells, Gain(arms[for_all], *_over_plain(taken)))


def _over_plain(seconds: Array) -> tuple[float, float]:
    """[plain, one, other] → what the others gain."""
    return float(seconds[0] / seconds[1]), float(seconds[0] / seconds[2])


def _seconds_per_token(world: World) -> dict[Cell, Array]:
    """Cell → by arm, [A]."""
    expected = StaticTimes(world).expected()
    keys = [(request.prompt_class, request.sampled) for request in world.requests]
    tokens = np.array([request.completion_tokens for request in world.requests])
    own = {key: np.array([other == key for other in keys]) for key in sorted(set(keys))}
    return {key: expected[of_key].sum(0) / tokens[of_key].sum() for key, of_key in own.items()}


def _world(recording: Recording, costs: CostGrid) -> World:
    """Every path once, one at a time."""
    requests = [
        WorldRequest(path.probabilities, path.prompt_tokens, 1, path.prompt_class, 0, path.path, sampled=path.sampled)
        for path in recording.paths
    ]
    return World(requests, recording.head.drafts, recording.head.max_tokens, costs, costs, None, 0)
