"""EXP3Spec of BanditSpec (arXiv 2505.15141, algorithm 5): exponential weights where any sequence may come.

Arms and rewards are those of `ucbspec`, for the same reason. Losses are estimated for the played arm alone, weighted by
its probability; the rate η_t = √(log K / (t K)) falls with time, since nobody knows how long a completion will be.
"""

import math
from itertools import accumulate
from random import Random

from specsched.policy.baselines.bandit import BanditPolicy, RowBandit, Throughput, every_arm
from specsched.policy.baselines.rows import RowsController
from specsched.records import CostGrid, Plan


class Exp3Spec:
    """Algorithm 5 over arms by their index, for rewards from 0 to L + 1."""

    def __init__(self, arms: int, longest: int, random: Random) -> None:
        self._longest = longest
        self._losses = [0.0] * arms
        self._rounds = 0
        self._random = random

    @property
    def chances(self) -> list[float]:
        """p_t: the probability of every arm in the round that comes (equation 14)."""
        arms, rounds = len(self._losses), self._rounds + 1
        rate, least = math.sqrt(math.log(arms) / (rounds * arms)), min(self._losses)
        weights = [math.exp(rate * (least - loss)) for loss in self._losses]
        total = sum(weights)
        return [weight / total for weight in weights]

    def choose(self) -> int:
        """Draw an arm; at first all are alike, and the plan has drawn already."""
        if not self._rounds:
            return 0
        drawn = self._random.random()
        return min(sum(edge <= drawn for edge in accumulate(self.chances)), len(self._losses) - 1)

    def observe(self, arm: int, reward: float) -> None:
        """Add Ẑ = (L + 1 − Y) / (L p) to the played arm's losses (equation 13)."""
        self._losses[arm] += (self._longest + 1 - reward) / (self._longest * self.chances[arm])
        self._rounds += 1


def exp3spec_policy(max_gamma: int, seed: int) -> BanditPolicy:
    """Return the policy: all drafts, γ for the bandit to choose."""
    return BanditPolicy("exp3spec", every_arm, max_gamma, seed)


def exp3spec_controller(costs: CostGrid) -> RowsController:
    """Return the round controller: one bandit per row, its draws from the plan's seed."""

    def make(plan: Plan) -> RowBandit:
        arms, longest = every_arm(plan), max(1, plan.max_gamma)
        bandit = Exp3Spec(len(arms), longest, Random(~plan.seed))
        return RowBandit(arms, bandit, Throughput(costs, longest + 1.0))

    return RowsController(make)
