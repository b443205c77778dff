"""What a long prompt that arrives does to a row that decodes: its time per token beside the arrival and alone."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from specsched.engine.base import EngineCore
from specsched.engine.load import Progress, load_engine
from specsched.engine.settings import EngineSettings
from specsched.policy.controller import PlannedController
from specsched.pool.manifest import Pool
from specsched.records import Chunk, Job, Plan, Sampling

Clock = Callable[[], float]
"""Monotonic seconds."""

GAMMA = 4
_ROW_PROMPT = 32
_ROW_TOKENS = 400
_ALONE_STEPS = 150
_WARM_STEPS = 30


@dataclass(frozen=True, slots=True)
class StretchJob:
    """One run of `bench stretch`."""

    prompt_tokens: int = 1_500
    """Of the prompt that arrives."""
    repeats: int = 3
    """Alone and beside, in turns."""


@dataclass(frozen=True, slots=True)
class StretchSummary:
    """One line of the table; times are seconds per token of the row that decodes."""

    draft_model: str
    alone_p50: float
    alone_p99: float
    beside_p50: float
    beside_p99: float
    arrival_seconds: float
    """From the long prompt's arrival to its first token, median."""

    @property
    def stretch_p99(self) -> float:
        """p99 beside the arrival ÷ p99 alone."""
        return self.beside_p99 / self.alone_p99


class DecodingRow:
    """A row that always decodes: when it ends, the next one begins."""

    def __init__(self, engine: EngineCore, plan: Plan, clock: Clock) -> None:
        self._engine = engine
        self._plan = plan
        self._clock = clock
        self._last: float | None = None
        self._number = 0
        self.times: list[float] = []
        """Seconds per token, round by round."""
        self._begin()

    def take(self) -> list[float]:
        """Return the times since the last call."""
        times, self.times = self.times, []
        return times

    def stop(self) -> None:
        """End it."""
        self._engine.cancel(self._name)

    @property
    def _name(self) -> str:
        return f"row-{self._number}"

    def _begin(self) -> None:
        self._last = None
        self._number += 1
        prompt = tuple(8 + (i * self._number) % 200 for i in range(_ROW_PROMPT))
        self._engine.submit(_job(self._name, prompt, self._plan, _ROW_TOKENS), self._deliver)

    def _deliver(self, chunk: Chunk) -> None:
        now = self._clock()
        if self._last is not None and chunk.token_ids:
            self.times.append((now - self._last) / len(chunk.token_ids))
        self._last = now
        if chunk.finish is not None and len(chunk.token_ids):
            self._begin()


def check_stretch(pool: Pool, job: StretchJob, say: Progress = lambda _stage: None) -> list[StretchSummary]:
    """Measure plain decoding, then every kind of arm that the pool offers first.

    Raises:
        SetupError: models that cannot be used.
    """
    settings = EngineSettings(max_rows=2, profile_seconds=0, prefix_cache_tokens=0)
    first = next((draft for draft in pool.drafts if draft.kind == "model"), None)
    drafts = (first,) if first is not None else ()
    engine = load_engine(replace(pool, drafts=drafts), settings, lambda _costs: PlannedController(), say)
    plans = [Plan(), *(Plan(draft.id, GAMMA, GAMMA, pinned=True) for draft in drafts)]
    return [measure(engine, plan, job, say) for plan in plans]


def measure(
    engine: EngineCore,
    plan: Plan,
    job: StretchJob,
    say: Progress = lambda _stage: None,
    clock: Clock = time.perf_counter,
) -> StretchSummary:
    """Let a row decode, alone and beside arrivals in turns."""
    alone: list[float] = []
    beside: list[float] = []
    arrivals: list[float] = []
    row = DecodingRow(engine, plan, clock)
    _step(engine, _WARM_STEPS)
    for repeat in range(job.repeats):
        say(f"{plan.draft_model}: {repeat} of {job.repeats}")
        row.take()
        _step(engine, _ALONE_STEPS)
        alone += row.take()
        arrivals.append(_arrive(engine, f"long-{repeat}", job.prompt_tokens, repeat, clock))
        beside += row.take()
    row.stop()
    return _summary(plan.draft_model, alone, beside, arrivals)


def _arrive(engine: EngineCore, name: str, prompt_tokens: int, number: int, clock: Clock) -> float:
    """Let a long prompt arrive; returns the seconds to its first token."""
    ended: list[Chunk] = []
    prompt = tuple(8 + (7 * i * i + 3 * i + number) % 200 for i in range(prompt_tokens))
    started = clock()
    engine.submit(_job(name, prompt, Plan(), max_tokens=1), ended.append)
    while not ended:
        engine.step()
    return clock() - started


def _step(engine: EngineCore, steps: int) -> None:
    for _ in range(steps):
        engine.step()


def _job(name: str, prompt: tuple[int, ...], plan: Plan, max_tokens: int) -> Job:
    greedy = Sampling(temperature=0.0)
    return Job(name, prompt, greedy, plan, noise_seed=0, max_tokens=max_tokens, ignore_eos=True)


def _summary(
    draft_model: str, alone: Sequence[float], beside: Sequence[float], arrivals: Sequence[float]
) -> StretchSummary:
    alone_p50, alone_p99 = np.quantile(alone, (0.5, 0.99)).tolist()
    beside_p50, beside_p99 = np.quantile(beside, (0.5, 0.99)).tolist()
    return StretchSummary(draft_model, alone_p50, alone_p99, beside_p50, beside_p99, float(np.median(arrivals)))
