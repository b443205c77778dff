"""MetaSD-UCB (arXiv 2604.05417, algorithm 2): a bandit per request over drafts, γ the same for all.

The reward is the paper's block divergence, 1/γ · Σ_j (1 − d_TV(p_j, q_j)): how far a draft agrees with the target, not
what its rounds cost, so that a slow draft that agrees is the best of all; and plain decoding is no arm. Of positions
behind the first rejection a round's record tells nothing, so they count as 0. For greedy rows, whose coins are 0 and 1,
that is the paper's other reward, block efficiency.
"""

import math

from specsched.policy.baselines.bandit import BanditPolicy, RowBandit, every_draft
from specsched.policy.baselines.rows import RowsController
from specsched.policy.outcomes import outcomes
from specsched.records import Plan, RoundRecord

GAMMA = 5
"""N_max: of every draft."""
WIDTH = 1.0
"""β: of the confidence bound; 1 is UCB1's."""


class MetaSdUcb:
    """UCB1 over arms by their index, for rewards from 0 to 1."""

    def __init__(self, arms: int) -> None:
        self._pulls = [0] * arms
        self._sums = [0.0] * arms

    def choose(self) -> int:
        """Return the first arm that was never played, else the best of mean + β √(2 ln t / n)."""
        if 0 in self._pulls:
            return self._pulls.index(0)
        log = 2 * math.log(sum(self._pulls))
        return max(range(len(self._pulls)), key=lambda arm: self._bound(arm, log))

    def observe(self, arm: int, reward: float) -> None:
        """Learn from a pull."""
        self._pulls[arm] += 1
        self._sums[arm] += reward

    def _bound(self, arm: int, log: float) -> float:
        pulls = self._pulls[arm]
        return self._sums[arm] / pulls + WIDTH * math.sqrt(log / pulls)


def divergence(record: RoundRecord, context_tokens: int) -> float:  # noqa: ARG001 - the port's
    """Return the block divergence reward of a round, as far as its record knows it."""
    gamma = record.planned_gamma
    return sum(outcomes(record, gamma)[0]) / gamma if gamma else 0.0


def metasd_policy(max_gamma: int, seed: int) -> BanditPolicy:
    """Return the policy: all drafts, for the bandit to choose among."""
    return BanditPolicy("metasd", every_draft(GAMMA), max_gamma, seed)


def metasd_controller() -> RowsController:
    """Return the round controller: one bandit per row."""

    def make(plan: Plan) -> RowBandit:
        arms = every_draft(GAMMA)(plan)
        return RowBandit(arms, MetaSdUcb(len(arms)), divergence)

    return RowsController(make)
