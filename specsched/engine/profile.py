"""Measuring what rounds cost on this machine: the grid that the policy decides with (POLICY.md, "Cost")."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, repeat
from typing import NamedTuple, TypeVar

import torch

from specsched.engine.law import History
from specsched.engine.model import LanguageModel
from specsched.engine.proposers.base import Draft, Proposer, at_length
from specsched.engine.rounds import Rounds
from specsched.engine.row import Row
from specsched.records import CostGrid, CostPoint, DraftCost, Job, Plan, Sampling

REPEATS = 3
SWEEPS = 8
"""Passes over all points at most. On a busy machine one point's runs in a row are all disturbed alike, and what is
timed first is timed cold; runs that lie apart are not."""
CONTEXTS = (64, 512, 1536)
LONE_ROW_POSITIONS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 17)
BATCH_POSITIONS = (1, 2, 3, 5, 9)
LONG_GAMMA = 5


def stopwatch_for(device: torch.device) -> Callable[[], float]:
    """Return what costs are read from.

    Where one thread of a CPU does all the work it is that thread's own time: what other processes take from it in the
    meantime falls on some points and spares others, and would make verification look as steep as the machine is busy.
    """
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    return time.thread_time if alone else time.perf_counter


class _Halted(Exception):
    """Somebody needs the machine."""


Measure = Callable[[int, Callable[[], bool]], CostGrid | None]
"""Profiles anew, from the new grid's version and what halts it (`Profiler.grid`)."""


def unmeasured(_version: int, _halt: Callable[[], bool]) -> None:
    """Measure nothing."""


class _Shape(NamedTuple):
    """What one verification scores."""

    num_rows: int
    positions: int
    context: int


class _Lookahead(NamedTuple):
    """What one proposal drafts."""

    draft: str
    num_rows: int
    context: int
    gamma: int
    """0: one token of a row that the draft has not seen, whose context it takes in."""


_Point = TypeVar("_Point", _Shape, _Lookahead)


class Profiler:
    """Times the real code paths, propose and score and verify, on rows whose KV holds zeros."""

    def __init__(
        self,
        target: LanguageModel,
        proposers: Mapping[str, Proposer],
        rounds: Rounds,
        *,
        max_rows: int,
        seconds: float,
        clock: Callable[[], float] = time.perf_counter,
        stopwatch: Callable[[], float] | None = None,
    ) -> None:
        """Plan a profile.

        Args:
            target: The target.
            proposers: By draft id.
            rounds: Score and judge.
            max_rows: Largest batch to measure.
            seconds: Time that all of it may take; half of it goes to the target. Points beyond are left out.
            clock: Seconds that pass.
            stopwatch: Seconds that work takes; `stopwatch_for` the target's device by default.
        """
        self._target = target
        self._proposers = {name: at_length(proposer) for name, proposer in proposers.items()}
        self._rounds = rounds
        self._max_rows = max_rows
        self._seconds = seconds
        self._clock = clock
        self._stopwatch = stopwatch or stopwatch_for(target.device)
        self._halt: Callable[[], bool] = lambda: False
        self._contexts = [c for c in CONTEXTS if c + max(LONE_ROW_POSITIONS) <= target.max_context_tokens]

    def regrid(self, version: int, halt: Callable[[], bool]) -> CostGrid | None:
        """Measure everything again; None as soon as `halt` says so."""
        self._halt = halt
        try:
            return self.grid(version)
        except _Halted:
            return None

    @torch.inference_mode()
    def grid(self, version: int = 1) -> CostGrid:
        """Measure everything, nearest contexts and smallest batches first."""
        if self._seconds <= 0 or not self._contexts:
            return CostGrid(version, (), ())
        return CostGrid(version, self._verify_points(self._seconds / 2), self._draft_costs(self._seconds / 2))

    def _least(
        self, points: Sequence[_Point], measure: Callable[[_Point], float], seconds: float, surely: int
    ) -> Mapping[_Point, float]:
        """Sweep over points while there is time, the first ones in any case; what counts is the least of all sweeps."""
        least: dict[_Point, float] = {}
        started = self._clock()
        for number, point in enumerate(chain.from_iterable(repeat(points, SWEEPS))):
            if number >= surely and self._clock() - started > seconds:
                break
            least[point] = min(measure(point), least.get(point, math.inf))
        return least

    def _verify_points(self, seconds: float) -> tuple[CostPoint, ...]:
        least = self._least(tuple(self._shapes()), self._verify_seconds, seconds, surely=1)
        return tuple(
            CostPoint(shape.num_rows * shape.positions, shape.context, fastest) for shape, fastest in least.items()
        )

    def _shapes(self) -> Iterator[_Shape]:
        for context in self._contexts:
            yield from (_Shape(1, positions, context) for positions in LONE_ROW_POSITIONS)
            if self._max_rows > 1:
                yield from (_Shape(self._max_rows, positions, context) for positions in BATCH_POSITIONS)

    def _verify_seconds(self, shape: _Shape) -> float:
        drafts = [Draft([0] * (shape.positions - 1))] * shape.num_rows
        with self._opened(shape.num_rows, shape.context) as rows:
            return self._fastest(lambda: self._rounds.verify(rows, drafts))

    def _draft_costs(self, seconds: float) -> tuple[DraftCost, ...]:
        """What is known of every draft at least: a lone row's costs, nearest context."""
        points = tuple(self._lookaheads())
        least = self._least(points, self._propose_seconds, seconds, surely=3 * len(self._proposers))
        return tuple(self._draft_cost(name, least) for name in self._proposers)

    def _places(self) -> Sequence[tuple[int, int]]:
        """Rows and contexts that steps are measured at, without repetition."""
        near, far = self._contexts[0], self._contexts[-1]
        return tuple(dict.fromkeys(((1, near), (self._max_rows, near), (1, far))))

    def _lookaheads(self) -> Iterator[_Lookahead]:
        for number, (num_rows, context) in enumerate(self._places()):
            gammas = (1, LONG_GAMMA) if number else (0, 1, LONG_GAMMA)
            yield from (_Lookahead(name, num_rows, context, gamma) for name in self._proposers for gamma in gammas)

    def _draft_cost(self, name: str, least: Mapping[_Lookahead, float]) -> DraftCost:
        """A round of γ costs o + γ·τ: two lookaheads give both."""
        near = self._contexts[0]
        taking_in, once = (least[_Lookahead(name, 1, near, gamma)] for gamma in (0, 1))
        steps = []
        for num_rows, context in self._places():
            few, many = (least.get(_Lookahead(name, num_rows, context, gamma)) for gamma in (1, LONG_GAMMA))
            if few is not None and many is not None:
                steps.append(CostPoint(num_rows, context, max(0.0, (many - few) / (LONG_GAMMA - 1))))
        return DraftCost(name, max(0.0, once - steps[0].seconds), tuple(steps), max(0.0, taking_in - once) / near)

    def _propose_seconds(self, asked: _Lookahead) -> float:
        proposer = self._proposers[asked.draft]
        if not asked.gamma:
            return self._taking_in_seconds(proposer, asked.context)

        def once() -> None:
            for row in rows:
                proposer.commit(row, len(row.tokens) - 1)
            proposer.propose(rows, [asked.gamma] * asked.num_rows)

        with self._opened(asked.num_rows, asked.context) as rows:
            proposer.propose(rows, [1] * asked.num_rows)
            return self._fastest(once)

    def _taking_in_seconds(self, proposer: Proposer, context: int) -> float:
        seconds = []
        for _ in range(1 + REPEATS):
            with self._opened(1, context) as rows:
                seconds.append(self._timed(lambda: proposer.propose(rows, [1])))
        return min(seconds[1:])

    def _fastest(self, work: Callable[[], object]) -> float:
        """Least of several: whatever else the machine does only ever adds."""
        work()  # warm: allocations, first-touch
        return min(self._timed(work) for _ in range(REPEATS))

    def _timed(self, work: Callable[[], object]) -> float:
        if self._halt():
            raise _Halted
        started = self._stopwatch()
        work()
        return self._stopwatch() - started

    @contextmanager
    def _opened(self, num_rows: int, context: int) -> Iterator[list[Row]]:
        rows: list[Row] = []
        try:
            rows += (self._row(context) for _ in range(num_rows))
            yield rows
        finally:
            self._close(rows)

    def _row(self, context: int) -> Row:
        """Make a row of some text; its target KV is left at zeros, which cost the same."""
        prompt = tuple((7 * i * i + 3 * i) % self._target.vocab_size for i in range(context))
        job = Job("profile", prompt, Sampling(temperature=0.0), Plan(), noise_seed=0)
        history = History(job, frozenset(), self._target.vocab_size, self._target.device)
        row = Row(job, lambda _chunk: None, history, self._target.kv.open(), context, frozenset(), 0.0)
        row.kv.length = context - 1
        return row

    def _close(self, rows: Sequence[Row]) -> None:
        for row in reversed(rows):
            self._target.kv.close(row.kv)
            for proposer in self._proposers.values():
                proposer.forget(row)
