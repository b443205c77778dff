"""What a draft that wasn't played would have brought, from holding it against what was committed.

With w_i = min(1, q(x_i) / p(x_i)) on committed tokens x ~ p, E[Π_{i≤j} w_i] = S_j: each w_i's mean under p is
Σ_x min(p, q), the probability that a token drafted from q is accepted there, and both chains extend their prefix by the
same law. Scalars only, unbiased (POLICY.md, "Counterfactuals"); Π(1 − TV) of the committed path is not. Where the draft
is certain (a copy) or tokens are coupled to noise, w_i is whether it names the token. Where a draft stops depends on
the prefix alone, so a position that it does not draft has w = 0: S_j = P(the first j are drafted and accepted), as of
rounds (`outcomes`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from specsched.policy.beliefs import Array
from specsched.records import Counterfactual

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Retraced:
    """Rounds that a draft would have begun at places of a completion, one after the other.

    Places from which the largest lookahead does not lie within the completion are left out: the end would censor them.
    """

    weights: Array
    """w of each position, [N, J]."""
    drafted: Counts
    """Tokens that would have been drafted, [N]: as many as were asked for, none, or fewer. Of a draft that stops when
    unsure they are taken beyond its first wrong token as if it had been right; on average that is near the truth."""

    @classmethod
    def along(cls, weights: Sequence[float] | Array, positions: int, drafted: Counts | None = None) -> Self:
        """Slide over a weight per committed token, the same in whatever round the token is met."""
        slid = windows(np.asarray(weights, dtype=np.float64), positions)
        return cls.of(slid, np.full(len(slid), positions) if drafted is None else drafted)

    @classmethod
    def of(cls, weights: Array, drafted: Counts) -> Self:
        """Take weights by place and position, [N, J], of what is drafted and what is not."""
        return cls(np.where(np.arange(weights.shape[1]) < drafted[:, None], weights, 0.0), drafted)

    def instead(self, other: Self) -> Self:
        """Let another draft where this one has nothing, as composites do."""
        own = self.drafted > 0
        return type(self)(
            np.where(own[:, None], self.weights, other.weights), np.where(own, self.drafted, other.drafted)
        )

    def outcome(self, draft_model: str) -> Counterfactual:
        """Sum up."""
        rounds, positions = self.weights.shape
        accepted = self.weights.cumprod(1).sum(0)  # Σ S_j
        reached = np.concatenate(([float(rounds)], accepted[:-1]))
        undrafted = (self.drafted[:, None] <= np.arange(positions)).sum(0).astype(np.float64)
        return Counterfactual(
            draft_model,
            float(rounds),
            tuple(accepted.tolist()),
            tuple((reached - accepted).tolist()),
            tuple(undrafted.tolist()) if undrafted.any() else (),
        )


def windows(of_places: Array, positions: int) -> Array:
    """Line up what is met from each place that so many positions follow, [L] → [L − J + 1, J]."""
    if len(of_places) < positions:
        return np.empty((0, positions))
    return np.lib.stride_tricks.sliding_window_view(of_places, positions)


def drafted_until(chances: Array, share: float) -> Counts:
    """Tokens of a draft that goes no further once the product of its chances, [N, J], is below a share (`Drawing`)."""
    return np.asarray((chances.cumprod(1)[:, :-1] >= share).sum(1) + 1)
