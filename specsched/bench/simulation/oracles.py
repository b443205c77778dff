"""What could have been had: the best static arms in hindsight, at several grains.

Arms are chosen by expected time under the truth, as if all rows of a batch played alike; then the choice is played
in the same world, coins and all. In a batch, where arms meet, several choices are played and the fastest counts.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from specsched.bench.simulation.run import Run, Simulation
from specsched.bench.simulation.world import DRAFTS, MAX_GAMMA, Array, SimulatedRequest, World
from specsched.policy.acceptance import expected_tokens
from specsched.policy.base import Arm, DecisionContext, Observation
from specsched.policy.controller import PlannedController
from specsched.policy.cost import CostModel, Group
from specsched.records import NO_DRAFT, Plan

PLAIN = Arm(NO_DRAFT, 0)
STATIC_ARMS = (PLAIN, *(Arm(draft, gamma) for draft in DRAFTS for gamma in range(1, MAX_GAMMA + 1)))

Grain = Callable[[SimulatedRequest], Hashable]
"""Requests with equal keys play one arm."""


class ScriptedPolicy:
    """Plays one arm per request, written down beforehand, in the order in which requests join."""

    def __init__(self, arms: Sequence[Arm]) -> None:
        self._arms = iter(arms)

    def decide(self, context: DecisionContext) -> Plan:  # noqa: ARG002 - the port's
        """Return the next arm."""
        arm = next(self._arms)
        return Plan(arm.draft_model, arm.gamma, arm.gamma, policy="scripted")

    def observe(self, observation: Observation) -> None:
        """Nothing to learn."""


@dataclass(frozen=True, slots=True)
class Oracles:
    """Runs of one world, slowest grain first."""

    plain: Run
    static: Run
    """One arm for all."""
    per_class: Run
    per_class_and_phase: Run
    """One arm per true class and stage of the scenario."""
    per_request: Run
    """One arm per request, by its own hazards: no policy can know them beforehand."""


def play(world: World, arms: Sequence[Arm]) -> Run:
    """Play one arm per request."""
    return Simulation(world, ScriptedPolicy(arms), PlannedController()).run()


def oracles(world: World) -> Oracles:
    """Find the best static arms at every grain. A finer grain is never slower: it may choose as a coarser one."""
    seconds = expected_seconds(world)
    batched = any(request.rows > 1 for request in world.requests)
    plain = play(world, [PLAIN] * len(world.requests))
    static = _faster(plain, *_best(world, seconds, lambda _request: None, batched=False))
    per_class = _faster(static, *_best(world, seconds, lambda request: request.prompt_class, batched=batched))
    phases = _best(world, seconds, lambda request: (request.prompt_class, request.stage), batched=batched)
    per_phase = _faster(per_class, *phases)
    numbers = iter(range(len(world.requests)))
    per_request = _faster(per_phase, *_best(world, seconds, lambda _request: next(numbers), batched=batched))
    return Oracles(plain, static, per_class, per_phase, per_request)


def expected_seconds(world: World) -> Array:
    """Each request's expected share of time under each arm, [R, A]."""
    costs = CostModel(world.costs)
    lengths = expected_tokens(np.stack([request.hazards for request in world.requests]))  # [R, D, J + 1]
    return np.array([_seconds(request, own, costs) for request, own in zip(world.requests, lengths, strict=True)])


def _seconds(request: SimulatedRequest, lengths: Array, costs: CostModel) -> list[float]:
    rows, at = request.rows, request.prompt_tokens + request.completion_tokens / 2
    seconds = [request.completion_tokens * costs.verify(rows, at) / rows]
    for arm in STATIC_ARMS[1:]:
        tokens = float(lengths[DRAFTS.index(arm.draft_model), arm.gamma])
        step = costs.draft(Group(arm.draft_model, rows, arm.gamma), at) + costs.verify(rows * (arm.gamma + 1), at)
        prefill = costs.prefill(arm.draft_model, request.prompt_tokens)
        seconds.append(request.completion_tokens / tokens * step / rows + prefill)
    return seconds


def _best(world: World, seconds: Array, grain: Grain, *, batched: bool) -> list[Run]:
    """Play the best arm of every group; in a batch also with one draft for all, which keeps rounds short."""
    keys = [grain(request) for request in world.requests]
    allowed = [np.ones(len(STATIC_ARMS), dtype=bool)]
    if batched:
        allowed += [np.array([arm.draft_model in (NO_DRAFT, draft) for arm in STATIC_ARMS]) for draft in DRAFTS]
    return [play(world, _assign(keys, np.where(mask, seconds, np.inf))) for mask in allowed]


def _assign(keys: Sequence[Hashable], seconds: Array) -> list[Arm]:
    """Every request gets the arm that its group needs least time with."""
    sums: dict[Hashable, Array] = {}
    for key, own in zip(keys, seconds, strict=True):
        sums[key] = sums.get(key, np.zeros_like(own)) + own
    return [STATIC_ARMS[int(sums[key].argmin())] for key in keys]


def _faster(*runs: Run) -> Run:
    return min(runs, key=lambda run: run.seconds)
