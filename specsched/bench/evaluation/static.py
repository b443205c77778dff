"""What every static arm takes on every request: expected, and on the very coins of a world.

Both are worked out for all requests and arms at once, place by place along the completions, as if a request's rows all
played alike: exact for lone rows.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from specsched.bench.evaluation.world import Array, Counts, World
from specsched.policy.base import Arm
from specsched.policy.cost import CostModel, Group
from specsched.records import NO_DRAFT, CostGrid

PLAIN = Arm(NO_DRAFT, 0)


def static_arms(world: World) -> tuple[Arm, ...]:
    """Plain decoding, then every draft with every γ."""
    return (PLAIN, *(Arm(draft, gamma) for draft in world.drafts for gamma in range(1, world.max_gamma + 1)))


class StaticTimes:
    """Seconds of every request under every arm of `static_arms`, [R, A]."""

    def __init__(self, world: World, rows: int | None = None) -> None:
        """Lay a world out; `rows` stands for every request's own number of rows."""
        self._world = world
        self._lengths = np.array([request.completion_tokens for request in world.requests])
        self._longest = int(self._lengths.max())
        self._rows = np.array([rows or request.rows for request in world.requests])
        self._prompts = np.array([request.prompt_tokens for request in world.requests])
        self._prices = {
            n: _prices(world.costs, world.drafts, world.max_gamma, n, _rounded(self._prompts.max() + self._longest))
            for n in set(self._rows.tolist())
        }
        self._survival, self._stands, self._offered, self._steps = self._padded()

    def expected(self) -> Array:
        """In the mean over all coins: E[seconds from a place on], from the last place back."""
        drafts, size = len(self._world.drafts), self._world.max_gamma
        after = np.zeros((self._longest + size + 1, len(self._lengths), drafts, size))
        for place in reversed(range(self._longest)):
            drafted, live = self._drafted(place), self._lengths > place
            chances = self._survival[place]  # [R, D, J + 2]
            seconds = self._seconds(place)  # [R, D, Γ]
            for n in range(size + 1):
                exactly = np.where(drafted > n, chances[..., n : n + 1] - chances[..., n + 1 : n + 2], 0.0)
                exactly = np.where(drafted == n, chances[..., n : n + 1], exactly)
                seconds = seconds + exactly * after[place + 1 + n]
            after[place] = np.where(live[:, None, None], seconds, 0.0)
        return self._with_plain(after[0])

    def played(self) -> Array:
        """On the world's coins: rounds as they fall."""
        at = np.zeros((len(self._lengths), len(self._world.drafts), self._world.max_gamma), dtype=np.int64)
        seconds = np.zeros(at.shape)
        for place in range(self._longest):
            here = (at == place) & (self._lengths > place)[:, None, None]
            accepted = np.minimum(self._stands[place][..., None], self._drafted(place))
            seconds += np.where(here, self._seconds(place), 0.0)
            at += np.where(here, accepted + 1, 0)
        return self._with_plain(seconds)

    def _with_plain(self, speculating: Array) -> Array:
        """Put plain decoding's column first, and each draft's prefill to its own: [R, D, Γ] → [R, A]."""
        costs = CostModel(self._world.costs)
        plain = np.zeros(len(self._lengths))
        for place in range(self._longest):
            plain += np.where(self._lengths > place, self._plain_seconds(place), 0.0)
        prefill = [[costs.prefill(draft, int(n)) for draft in self._world.drafts] for n in self._prompts]
        flat = (speculating + np.array(prefill)[..., None]).reshape(len(plain), -1)
        return np.concatenate((plain[:, None], flat), axis=1)

    def _gamma(self, place: int) -> Counts:
        """What an engine leaves of every γ at a place, [Γ]."""
        return np.minimum(np.arange(1, self._world.max_gamma + 1), self._world.max_tokens - place - 1)

    def _drafted(self, place: int) -> Counts:
        """What a draft proposes, [R, D, Γ]."""
        return np.asarray(np.minimum(self._gamma(place), self._offered[place][..., None]))

    def _seconds(self, place: int) -> Array:
        """One round at a place, [R, D, Γ]; where a draft has nothing to propose, its verification is a plain one."""
        drafted = self._drafted(place)
        steps = np.minimum(self._gamma(place), self._steps[place][..., None])
        found = np.empty(drafted.shape)
        for rows, (drafting, verify) in self._prices.items():
            own = self._rows == rows
            at = self._prompts[own] + place
            stepping = np.take_along_axis(drafting[at], steps[own], axis=2)
            found[own] = (stepping + verify[at[:, None, None], drafted[own]]) / rows
        return found

    def _plain_seconds(self, place: int) -> Array:
        found = np.empty(len(self._lengths))
        for rows, (_, verify) in self._prices.items():
            own = self._rows == rows
            found[own] = verify[self._prompts[own] + place, 0] / rows
        return found

    def _padded(self) -> tuple[Array, Counts, Counts, Counts]:
        """Every path, padded to the longest: survival [L, R, D, J + 2]; tokens that stand, are offered, take a step.

        Survival is P(the first j drafted tokens stand), j from 0 on; its last column is 0.
        """
        shape = (self._longest, len(self._lengths), len(self._world.drafts))
        survival = np.zeros((*shape, self._world.max_gamma + 2))
        stands, offered, steps = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        survival[..., 0] = 1.0
        for index, request in enumerate(self._world.requests):
            path, size = request.path, request.completion_tokens
            survival[:size, index, :, 1:-1] = np.moveaxis(np.cumprod(path.hazards, axis=2), 0, 1)
            stands[:size, index] = path.toss(self._world.coins(index)).T
            offered[:size, index] = path.offered.T
            steps[:size, index] = path.steps.T
        return survival, stands, offered, steps


@lru_cache(maxsize=64)
def _prices(costs: CostGrid, drafts: Sequence[str], max_gamma: int, rows: int, contexts: int) -> tuple[Array, Array]:
    """A round of so many rows by context: drafting, [ℓ, D, Γ + 1], and verification, [ℓ, Γ + 1]."""
    model, gammas = CostModel(costs), range(max_gamma + 1)
    drafting = [[[model.draft(Group(d, rows, g), at) for g in gammas] for d in drafts] for at in range(contexts)]
    verify = [[model.verify(rows * (g + 1), at) for g in gammas] for at in range(contexts)]
    return np.array(drafting), np.array(verify)


def _rounded(contexts: int) -> int:
    """Round up, so that worlds of one machine share their prices."""
    return -(-int(contexts + 1) // 256) * 256
