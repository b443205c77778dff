"""What the bandit baselines share: arms named by the plan, and one bandit per request that plays them.

Bandits know nothing of positions or prompt classes: an arm's reward is all that a round tells them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Protocol

from specsched.policy.base import Arm, DecisionContext, Observation, RowView
from specsched.policy.baselines.plans import PLAIN
from specsched.policy.cost import CostModel
from specsched.policy.hint import choice
from specsched.records import Beta, Candidate, CostGrid, Plan, RoundRecord

UNKNOWN = Beta(1.0, 1.0)

ArmsOf = Callable[[Plan], list[Arm]]
"""The arms of a plan, its own first."""


def every_arm(plan: Plan) -> list[Arm]:
    """Return plain decoding and every draft at doubling γ, or at the γ that is pinned, numbered by the plan's seed.

    Papers play their arms in order first. Without a shuffle short requests would all end among the same few.
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


def every_draft(gamma: int) -> ArmsOf:
    """Arms that differ by their draft alone, at one γ or as much of it as the plan allows."""

    def arms_of(plan: Plan) -> list[Arm]:
        length = plan.max_gamma if plan.pinned else min(gamma, plan.max_gamma)
        arms = [Arm(draft.draft_model, length) for draft in plan.candidates]
        Random(plan.seed).shuffle(arms)
        return arms

    return arms_of


class BanditPolicy:
    """Names the drafts that a bandit may use, and a seed that numbers its arms."""

    def __init__(self, name: str, arms_of: ArmsOf, max_gamma: int, seed: int) -> None:
        self._name = name
        self._arms_of = arms_of
        self._max_gamma = max_gamma
        self._random = Random(seed)

    def decide(self, context: DecisionContext) -> Plan:
        """Return a plan whose first arm is the bandit's first; every request is a bandit of its own."""
        allowed = choice(context, self._max_gamma)
        if not allowed.gammas or not allowed.drafts:
            return Plan(policy=self._name)
        plan = Plan(
            max_gamma=allowed.gammas[-1],
            pinned=allowed.pinned,
            candidates=tuple(Candidate(draft, (UNKNOWN,) * allowed.gammas[-1]) for draft in allowed.drafts),
            seed=self._random.getrandbits(63),
            policy=self._name,
        )
        first, *others = self._arms_of(plan)
        chance = 1 / (1 + len(others))
        return replace(plan, draft_model=first.draft_model, gamma=first.gamma, explored=bool(others), propensity=chance)

    def observe(self, observation: Observation) -> None:
        """Nothing to learn: bandits live and end with their requests."""


class Bandit(Protocol):
    """Chooses among arms by their index."""

    def choose(self) -> int:
        """Return the arm to play; the first of all is 0, which the plan has named."""
        ...

    def observe(self, arm: int, reward: float) -> None:
        """Learn from a pull."""
        ...


Reward = Callable[[RoundRecord, int], float]
"""What a round of a row was worth; the second is its context in tokens."""


class Throughput:
    """Tokens of a round per plain round's time, tokens × V(b) / T, cut at `most`.

    Its own verification is the unit where none was profiled.
    """

    def __init__(self, costs: CostGrid, most: float) -> None:
        self._profiled = bool(costs.verify)
        self._costs = CostModel(costs)
        self._most = most

    def __call__(self, record: RoundRecord, context_tokens: int) -> float:
        """Return the reward."""
        plain = self._costs.verify(record.batch_size, context_tokens) if self._profiled else record.verify_seconds
        seconds = record.propose_seconds + record.verify_seconds
        tokens = record.num_accepted + 1
        return min(tokens * plain / seconds, self._most) if seconds > 0 else float(tokens)


class RowBandit:
    """One request's bandit."""

    def __init__(self, arms: Sequence[Arm], bandit: Bandit, reward: Reward) -> None:
        self._arms = arms
        self._bandit = bandit
        self._reward = reward
        self._played = 0
        self._context_tokens = 0

    def choose(self, row: RowView) -> Arm:
        """Return the bandit's arm."""
        self._played, self._context_tokens = self._bandit.choose(), row.context_tokens
        return self._arms[self._played]

    def observe(self, round_record: RoundRecord) -> None:
        """Reward the arm that was chosen, even where the engine had to cut it short."""
        self._bandit.observe(self._played, self._reward(round_record, self._context_tokens))
