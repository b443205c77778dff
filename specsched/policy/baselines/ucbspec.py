"""UCBSpec of BanditSpec (arXiv 2505.15141, algorithm 4): a bandit per request over (draft, γ) and plain decoding.

The reward is the throughput of a round, as in the paper's experiment with speculation lengths (section 6.2, γ = 0 among
the arms): accepted tokens alone (section 4) would call the longest γ the best. It is told in units of plain decoding,
tokens × V(b) / T, and cut at L + 1, so that it keeps to the range that the radius is made for. That radius is wide:
8.5 after 200 rounds of 25 arms at L = 8, nearly the whole range, so that most requests end while they still explore.
"""

import math
from dataclasses import replace
from random import Random

from specsched.policy.base import Arm, DecisionContext, Observation, RowView
from specsched.policy.baselines.plans import PLAIN
from specsched.policy.baselines.rows import RowsController
from specsched.policy.cost import CostModel
from specsched.policy.hint import choice
from specsched.records import Beta, Candidate, CostGrid, Plan, RoundRecord

DELTA = 0.5
"""δ: the confidence parameter, as theorem 4.3's proof takes it."""
UNKNOWN = Beta(1.0, 1.0)


class UcbSpecPolicy:
    """Names the drafts that the bandit may use, and a seed that numbers the arms."""

    def __init__(self, max_gamma: int, seed: int) -> None:
        self._max_gamma = max_gamma
        self._random = Random(seed)

    def decide(self, context: DecisionContext) -> Plan:
        """Return a plan whose first arm is the bandit's first; every request is a bandit of its own."""
        allowed = choice(context, self._max_gamma)
        if not allowed.gammas or not allowed.drafts:
            return Plan(policy="ucbspec")
        plan = Plan(
            max_gamma=allowed.gammas[-1],
            pinned=allowed.pinned,
            candidates=tuple(Candidate(draft, (UNKNOWN,) * allowed.gammas[-1]) for draft in allowed.drafts),
            seed=self._random.getrandbits(63),
            policy="ucbspec",
        )
        first, *others = arms_of(plan)
        chance = 1 / (1 + len(others))
        return replace(plan, draft_model=first.draft_model, gamma=first.gamma, explored=bool(others), propensity=chance)

    def observe(self, observation: Observation) -> None:
        """Nothing to learn: bandits live and end with their requests."""


def arms_of(plan: Plan) -> list[Arm]:
    """Return plain decoding and every draft at doubling γ, or at the γ that is pinned, numbered by the plan's seed.

    The paper plays its arms in their order first. Without a shuffle short requests would all end among the same few.
    """
    arms = [Arm(draft.draft_model, gamma) for draft in plan.candidates for gamma in _lengths(plan)]
    if not plan.pinned:
        arms.append(PLAIN)
    Random(plan.seed).shuffle(arms)
    return arms


def _lengths(plan: Plan) -> list[int]:
    """1, 2, 4 … and the bound: a bandit pays for every arm."""
    doubling = [1 << power for power in range(plan.max_gamma.bit_length())]
    return [plan.max_gamma] if plan.pinned else sorted({*doubling, plan.max_gamma} - {0})


def radius(longest: int, arms: int, rounds: int, pulls: int) -> float:
    """Return cr = L/2 · √((1 + n)/n² · (1 + 2 log(K t² √(1 + n) / δ))) (equation 6)."""
    log = math.log(arms * rounds**2 * math.sqrt(1 + pulls) / DELTA)
    return longest / 2 * math.sqrt((1 + pulls) / pulls**2 * (1 + 2 * log))


class Bandit:
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


class RowBandit:
    """One request's bandit."""

    def __init__(self, plan: Plan, costs: CostGrid) -> None:
        self._arms = arms_of(plan)
        self._longest = max(1, plan.max_gamma)
        self._bandit = Bandit(len(self._arms), self._longest)
        self._profiled = bool(costs.verify)
        self._costs = CostModel(costs)
        self._played = 0
        self._context_tokens = 0

    def choose(self, row: RowView) -> Arm:
        """Return the bandit's arm."""
        self._played, self._context_tokens = self._bandit.choose(), row.context_tokens
        return self._arms[self._played]

    def observe(self, round_record: RoundRecord) -> None:
        """Reward the arm that was chosen, even where the engine had to cut it short."""
        self._bandit.observe(self._played, self._reward(round_record))

    def _reward(self, record: RoundRecord) -> float:
        """Tokens of the round per plain round's time; its own verification is the unit where none was profiled."""
        plain = self._costs.verify(record.batch_size, self._context_tokens) if self._profiled else record.verify_seconds
        seconds = record.propose_seconds + record.verify_seconds
        tokens = record.num_accepted + 1
        return min(tokens * plain / seconds, self._longest + 1.0) if seconds > 0 else float(tokens)


def ucbspec_controller(costs: CostGrid) -> RowsController:
    """Return the round controller: one bandit per row."""
    return RowsController(lambda plan: RowBandit(plan, costs))
