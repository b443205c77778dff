"""A world: requests with the paths that nobody is told, and costs, true and as profiled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specsched.policy.memory import Cell
from specsched.records import ClassProbabilities, CostGrid

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Path:
    """What every draft does on one completion, were a round to begin at any of its places.

    The completion is the target's, whatever is drafted; so all that a chain policy can meet is known beforehand, in
    law: a drafted token stands with its hazard, independently of every other place (POLICY.md, "Evaluation").
    """

    hazards: Array
    """P(j-th drafted token accepted | those before it accepted) of a round that begins at a place, [D, L, J]."""
    offered: Counts
    """Tokens that a draft proposes at most in a round that begins at a place, [D, L]: none, the largest lookahead, or
    as many as it draws before it stops by itself."""
    steps: Counts
    """Steps that this takes it, [D, L]: none where it copies; as many as it is asked for where its cost says so."""
    overlaps: Array | None = None
    """β by draft, place and position, [D, L, J], where rounds show them: of sampled completions."""

    @property
    def tokens(self) -> int:
        """Of the completion."""
        return int(self.hazards.shape[1])

    @property
    def max_gamma(self) -> int:
        """Largest lookahead."""
        return int(self.hazards.shape[2])

    def toss(self, coins: Array) -> Counts:
        """Return how many drafted tokens stand, by draft and place, at the largest lookahead, [D, L].

        A token stands where its coin is below its hazard; coins are uniform, [D, L + J], by place in the completion.
        """
        size = self.max_gamma
        if size == 0 or self.tokens == 0:
            return np.zeros(self.hazards.shape[:2], dtype=np.int64)
        windows = np.lib.stride_tricks.sliding_window_view(coins, size, axis=1)[:, : self.tokens]
        stands = np.logical_and.accumulate(windows < self.hazards, axis=2).sum(2)
        return np.asarray(np.minimum(self.offered, stands))


@dataclass(frozen=True, slots=True)
class WorldRequest:
    """One request: what it shows, and what it hides."""

    probabilities: ClassProbabilities
    """What the classifier says."""
    prompt_tokens: int
    rows: int
    """Requests that run at once when this one joins."""
    prompt_class: str
    """Hidden: the true class."""
    stage: int
    """Hidden: the part of the scenario between two drifts."""
    path: Path
    """Hidden."""
    sampled: bool = False
    """Sampled without a seed; else greedy."""
    arrival_seconds: float | None = None
    """When it comes, where load has a clock of its own; else it joins as soon as there is a row for it."""

    @property
    def completion_tokens(self) -> int:
        """Hidden: where the completion ends."""
        return self.path.tokens


@dataclass(frozen=True, slots=True)
class World:
    """A scenario with all its draws made, the same for every policy."""

    requests: Sequence[WorldRequest]
    """In the order in which they join."""
    drafts: tuple[str, ...]
    max_tokens: int
    """What every caller asks for; completions end sooner, and no policy knows when."""
    costs: CostGrid
    """True: by it time passes."""
    profiled: CostGrid
    """What policies are told."""
    drift: int | None
    """First request after the drift, if there is one."""
    seed: int
    priors: tuple[Cell, ...] = ()
    """What policies that can be told of drafts know before the first request."""

    @property
    def max_gamma(self) -> int:
        """Largest lookahead."""
        return self.requests[0].path.max_gamma

    def coins(self, index: int) -> Array:
        """Uniforms of a request, [D, completion + J], by draft and place in the completion.

        All policies toss the same coins, so they differ by what they choose and not by luck.
        """
        size = (len(self.drafts), self.requests[index].completion_tokens + self.max_gamma)
        return np.random.default_rng((self.seed, index)).random(size)

    @property
    def tokens(self) -> int:
        """Of all completions."""
        return sum(request.completion_tokens for request in self.requests)
