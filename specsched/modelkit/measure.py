"""Measured speed-up: the engine itself, speculative against plain, side by side in ABBA order (BENCHMARKS.md)."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from specsched.engine.engine import Engine
from specsched.errors import SpecschedError
from specsched.modelkit.goodput import PLAIN
from specsched.modelkit.traces import Trace
from specsched.policy.base import Arm, RowView
from specsched.records import Chunk, Job, Plan, RoundRecord, Sampling

_ORDER = (0, 1, 1, 0)


class TokensDiffer(SpecschedError):
    """Speculative and plain decoding gave different greedy tokens: a speed-up of them means nothing."""

    reason = "TOKENS_DIFFER"


class PinnedController:
    """Plays one arm, whoever asks."""

    def __init__(self) -> None:
        self.arm = PLAIN

    def begin(self, request_id: str, plan: Plan, *, sampled: bool) -> None:
        """Take a row."""

    def choose(self, rows: Sequence[RowView]) -> list[Arm]:
        """The pinned arm for every row."""
        return [self.arm] * len(rows)

    def observe(self, request_id: str, round_record: RoundRecord) -> None:
        """Learn nothing."""

    def end(self, request_id: str) -> None:
        """Forget nothing."""


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """One class under its best arm."""

    arm: Arm
    over_plain: float


def measure(
    engine: Engine,
    controller: PinnedController,
    arms: Mapping[str, Arm],
    traces: Mapping[str, Sequence[Trace]],
    *,
    repeats: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, SpeedUp]:
    """Class → measured goodput of its arm × plain decoding, greedy, one row at a time, prefill included.

    Raises:
        TokensDiffer: the arm's tokens are not those of plain decoding.
    """
    return {name: _ratio(engine, controller, arm, traces[name], repeats, clock) for name, arm in arms.items()}


def _ratio(
    engine: Engine,
    controller: PinnedController,
    arm: Arm,
    traces: Sequence[Trace],
    repeats: int,
    clock: Callable[[], float],
) -> SpeedUp:
    seconds: tuple[list[float], list[float]] = ([], [])
    tokens = [_play(engine, controller, which, traces) for which in (PLAIN, arm)]  # also the warm-up
    if tokens[0] != tokens[1]:
        raise TokensDiffer(f"{arm.draft_model}, γ={arm.gamma}: greedy tokens are not those of plain decoding")
    for _ in range(repeats):
        for which in _ORDER:
            started = clock()
            _play(engine, controller, (PLAIN, arm)[which], traces)
            seconds[which].append(clock() - started)
    return SpeedUp(arm, median(seconds[0]) / median(seconds[1]))


def _play(engine: Engine, controller: PinnedController, arm: Arm, traces: Sequence[Trace]) -> list[int]:
    controller.arm = arm
    tokens: list[int] = []

    def take(chunk: Chunk) -> None:
        tokens.extend(chunk.token_ids)

    for number, trace in enumerate(traces):
        limit = len(trace.completion_ids)
        job = Job(f"measure-{number}", trace.prompt_ids, Sampling(temperature=0.0), Plan(), 0, max_tokens=limit)
        engine.submit(job, take)
        while engine.step():
            pass
    return tokens
