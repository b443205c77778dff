"""How long decisions and rounds take: processor time of the policy's own thread, whatever else the machine does."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.base import DecisionContext, Observation, RowView
from specsched.policy.controller import AdaptiveController
from specsched.policy.settings import PolicySettings
from specsched.records import Beta, Candidate, ClassProbabilities, CostGrid, CostPoint, DraftCost, Plan, RoundRecord

_WARM_UP = 0.05
"""Share of the samples that is left out, from the start."""
_OBSERVED_ROUNDS = 8
"""Rounds that are observed between two decisions."""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is to choose from."""

    drafts: int
    max_gamma: int
    classes: int

    @property
    def names(self) -> tuple[str, ...]:
        """Of the drafts."""
        return tuple(f"draft-{number}" for number in range(self.drafts))


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Seconds."""

    p50: float
    p99: float


def time_decisions(size: Size, decisions: int, clock: Clock = time.thread_time) -> Quantiles:
    """Time decisions between which rounds are observed, as in service: nothing may be ready from the last one."""
    classes = tuple(f"class-{number}" for number in range(size.classes))
    policy = AdaptivePolicy(PolicySettings(max_gamma=size.max_gamma), classes, seed=0)
    random, costs, seconds = np.random.default_rng(0), invented_costs(size.names), []
    for number in range(decisions):
        pi = ClassProbabilities(classes, tuple(random.dirichlet(np.ones(size.classes)).tolist()))
        prompt_tokens = int(random.integers(16, 2048))
        context = DecisionContext(
            pi, sampled=False, coupled=True, drafts=size.names, costs=costs, prompt_tokens=prompt_tokens
        )
        started = clock()
        policy.decide(context)
        seconds.append(clock() - started)
        for _ in range(_OBSERVED_ROUNDS):
            draft, accepted = size.names[random.integers(size.drafts)], int(random.integers(size.max_gamma + 1))
            record = RoundRecord(draft, size.max_gamma, accepted, 1, 0.1, 1.0, planned_gamma=size.max_gamma)
            policy.observe(Observation(str(number), pi, sampled=False, coupled=True, round=record))
    return _quantiles(seconds)


def time_rounds(rows: int, size: Size, rounds: int, clock: Clock = time.thread_time) -> Quantiles:
    """Time a round controller's share of rounds, choosing and observing, per row."""
    controller = AdaptiveController(PolicySettings(max_gamma=size.max_gamma), invented_costs(size.names), seed=0)
    random, seconds = np.random.default_rng(0), []
    candidates = tuple(Candidate(name, (Beta(12.0, 8.0),) * size.max_gamma) for name in size.names)
    for row in range(rows):
        plan = Plan(size.names[row % size.drafts], 4, size.max_gamma, pinned=False, candidates=candidates, seed=row)
        controller.begin(str(row), plan, sampled=False)
    for number in range(rounds):
        views = [RowView(str(row), 100 + number, 10_000) for row in range(rows)]
        started = clock()
        arms = controller.choose(views)
        spent = clock() - started
        records = [
            RoundRecord(arm.draft_model, arm.gamma, accepted, rows, 0.1, 1.0, planned_gamma=arm.gamma)
            for arm, accepted in ((arm, int(random.integers(arm.gamma + 1))) for arm in arms)
        ]
        started = clock()
        for row, record in enumerate(records):
            controller.observe(str(row), record)
        seconds.append((spent + clock() - started) / rows)
    return _quantiles(seconds)


def _quantiles(seconds: list[float]) -> Quantiles:
    p50, p99 = np.quantile(seconds[int(len(seconds) * _WARM_UP) :], (0.5, 0.99))
    return Quantiles(float(p50), float(p99))


def invented_costs(drafts: Sequence[str]) -> CostGrid:
    """Costs as a profile has them: several contexts, rows and positions."""
    verify = tuple(
        CostPoint(positions, context, 1 + 0.05 * positions)
        for context in (64, 512, 1536)
        for positions in (1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 17, 24, 40, 72)
    )
    steps = (CostPoint(1, 64, 0.1), CostPoint(8, 64, 0.15), CostPoint(1, 1536, 0.2))
    return CostGrid(1, verify, tuple(DraftCost(name, 0.01, steps, 0.001) for name in drafts))
