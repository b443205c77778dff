"""A world: requests with the hazards that nobody is told, and costs, true and as profiled."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specsched.records import ClassProbabilities, CostGrid

Array = NDArray[np.float64]

DRAFTS = ("tiny", "small", "large", "ngram")
MAX_GAMMA = 8
MAX_TOKENS = 256
"""What every caller asks for; most completions end sooner, and no policy knows when."""


@dataclass(frozen=True, slots=True)
class SimulatedRequest:
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
    hazards: Array
    """Hidden, [D, J]: P(position j accepted | those before it accepted), of this very request."""
    completion_tokens: int
    """Hidden: where the completion ends."""


@dataclass(frozen=True, slots=True)
class World:
    """A scenario with all its draws made, the same for every policy."""

    requests: tuple[SimulatedRequest, ...]
    """In the order in which they join."""
    costs: CostGrid
    """True: by it time passes."""
    profiled: CostGrid
    """What policies are told."""
    drift: int | None
    """First request after the drift, if there is one."""
    seed: int

    def coins(self, index: int) -> list[list[float]]:
        """Uniforms of a request, [D, completion + J]: by draft and place in the completion.

        A drafted token stands where its coin is below the hazard. All policies toss the same coins, so they
        differ by what they choose and not by luck.
        """
        size = (len(DRAFTS), self.requests[index].completion_tokens + MAX_GAMMA)
        coins: list[list[float]] = np.random.default_rng((self.seed, index)).random(size).tolist()
        return coins

    @property
    def tokens(self) -> int:
        """Of all completions."""
        return sum(request.completion_tokens for request in self.requests)
