"""What could have been had: the best static arms in hindsight, at several grains.

Arms are chosen by expected time under the truth; then the choice is played on the world's own coins. For lone rows both
are exact. In a batch, where arms meet, several choices are played and the fastest counts.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from specsched.bench.evaluation.drive import Drive, Run
from specsched.bench.evaluation.static import PLAIN, StaticTimes, static_arms
from specsched.bench.evaluation.world import Array, World, WorldRequest
from specsched.policy.base import Arm, DecisionContext, Observation
from specsched.policy.controller import PlannedController
from specsched.records import NO_DRAFT, Plan

_LOADS = (4, 16)
"""Rows at which arms are chosen where load has a clock of its own."""

Grain = Callable[[WorldRequest], Hashable]
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
    """Seconds of every request, [R], slowest grain first; the last one is no refinement of the others."""

    plain: Array
    static: Array
    """One arm for all."""
    per_class: Array
    """One arm per true class, greedy and sampled requests apart."""
    per_class_and_phase: Array
    """One arm per class and stage of the scenario."""
    per_request: Array
    """One arm per request, by its own hazards: no policy can know them beforehand."""
    per_reported: Array
    """One arm per class that the classifier names, and stage: of classes it knows what policies are told, no more."""


def play(world: World, arms: Sequence[Arm]) -> Run:
    """Play one arm per request."""
    return Drive(world, ScriptedPolicy(arms), PlannedController()).run()


def oracles(world: World) -> Oracles:
    """Find the best static arms at every grain. A finer grain is never slower: it may choose as a coarser one."""
    alone = all(request.rows == 1 and request.arrival_seconds is None for request in world.requests)
    find = _lone(world) if alone else _batched(world)
    plain = find.plain()
    static = _faster(plain, find.best(lambda _request: None))
    per_class = _faster(static, find.best(lambda request: (request.prompt_class, request.sampled)))
    per_phase = _faster(per_class, find.best(lambda r: (r.prompt_class, r.sampled, r.stage)))
    numbers = iter(range(len(world.requests)))
    per_request = _faster(per_phase, find.best(lambda _request: next(numbers)))
    reported = _faster(static, find.best(lambda r: (r.probabilities.best, r.sampled, r.stage)))
    return Oracles(plain, static, per_class, per_phase, per_request, reported)


@dataclass(frozen=True, slots=True)
class _Finder:
    """How a world's best arms are found."""

    plain: Callable[[], Array]
    best: Callable[[Grain], Array]


def _lone(world: World) -> _Finder:
    """Rows that never meet: times of all arms are known, none is played."""
    times = StaticTimes(world)
    expected, played = times.expected(), times.played()
    every = np.arange(len(world.requests))
    return _Finder(
        lambda: np.asarray(played[:, 0]),
        lambda grain: np.asarray(played[every, _assign([grain(r) for r in world.requests], expected)]),
    )


def _batched(world: World) -> _Finder:
    """Rows that meet: choices are played, also those with the one best draft for all, which keep rounds short."""
    arms = static_arms(world)
    clocked = world.requests[0].arrival_seconds is not None
    expected = [StaticTimes(world, rows).expected() for rows in (_LOADS if clocked else (None,))]

    @cache
    def played(choice: tuple[int, ...]) -> Array:
        return play(world, [arms[i] for i in choice]).request_seconds

    def best(grain: Grain) -> Array:
        keys = [grain(request) for request in world.requests]
        choices = {tuple(_assign(keys, each)): None for seconds in expected for each in _narrowed(seconds, arms)}
        return _faster(*map(played, choices))

    return _Finder(lambda: play(world, [PLAIN] * len(world.requests)).request_seconds, best)


def _narrowed(seconds: Array, arms: Sequence[Arm]) -> tuple[Array, Array]:
    """Every arm, and only plain decoding and the draft of the best one."""
    best = arms[int(seconds.sum(0).argmin())].draft_model
    return seconds, np.where([arm.draft_model in (NO_DRAFT, best) for arm in arms], seconds, np.inf)


def _assign(keys: Sequence[Hashable], seconds: Array) -> list[int]:
    """Every request gets the arm, by its number, that its group needs least time with."""
    sums: dict[Hashable, Array] = {}
    for key, own in zip(keys, seconds, strict=True):
        sums[key] = sums.get(key, np.zeros_like(own)) + own
    return [int(sums[key].argmin()) for key in keys]


def _faster(*seconds: Array) -> Array:
    return min(seconds, key=np.sum)
