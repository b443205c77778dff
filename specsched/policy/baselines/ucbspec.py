"""UCBSpec of BanditSpec (arXiv 2505.15141, algorithm 4): a bandit per request over (draft, γ) and plain decoding.

The reward is the throughput of a round, as in the paper's experiment with speculation lengths (section 6.2, γ = 0 among
the arms): accepted tokens alone (section 4) would call the longest γ the best. It is told in units of plain decoding
and cut at L + 1, so that it keeps to the range that the radius is made for. That radius is wide: 8.5 after 200 rounds
of 25 arms at L = 8, nearly the whole range, so that most requests end while they still explore.
"""

import math

from specsched.policy.baselines.bandit import BanditPolicy, RowBandit, Throughput, every_arm
from specsched.policy.baselines.rows import RowsController
from specsched.records import CostGrid, Plan

DELTA = 0.5
"""δ: the confidence parameter, as theorem 4.3's proof takes it."""


def radius(longest: int, arms: int, rounds: int, pulls: int) -> float:
    """Return cr = L/2 · √((1 + n)/n² · (1 + 2 log(K t² √(1 + n) / δ))) (equation 6)."""
    log = math.log(arms * rounds**2 * math.sqrt(1 + pulls) / DELTA)
    return longest / 2 * math.sqrt((1 + pulls) / pulls**2 * (1 + 2 * log))


class UcbSpec:
    """Algorithm 4 over arms by their index."""

    def __init__(self, arms: int, longest: int) -> None:
        self._longest = longest
        self._pulls = [0] * arms
        self._sums = [0.0] * arms

    def choose(self) -> int:
        """Return the first arm that was never played, else the one with the highest upper confidence bound."""
        rounds = sum(self._pulls)
        if 0 in self._pulls:
            return self._pulls.index(0)
        return max(range(len(self._pulls)), key=lambda arm: self._bound(arm, rounds))

    def observe(self, arm: int, reward: float) -> None:
        """Learn from a pull."""
        self._pulls[arm] += 1
        self._sums[arm] += reward

    def _bound(self, arm: int, rounds: int) -> float:
        pulls = self._pulls[arm]
        return self._sums[arm] / pulls + radius(self._longest, len(self._pulls), rounds, pulls)


def ucbspec_policy(max_gamma: int, seed: int) -> BanditPolicy:
    """Return the policy: all drafts, γ for the bandit to choose."""
    return BanditPolicy("ucbspec", every_arm, max_gamma, seed)


def ucbspec_controller(costs: CostGrid) -> RowsController:
    """Return the round controller: one bandit per row."""

    def make(plan: Plan) -> RowBandit:
        arms, longest = every_arm(plan), max(1, plan.max_gamma)
        return RowBandit(arms, UcbSpec(len(arms), longest), Throughput(costs, longest + 1.0))

    return RowsController(make)
