"""How good a policy was: ratios of sums over seeds, with intervals that are paired by seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from specsched.bench.evaluation.drive import Run
from specsched.bench.evaluation.oracles import Oracles
from specsched.bench.evaluation.world import Array

WINDOW = 25
"""Requests over which "at 95 %" is read; summed over all seeds."""
ENOUGH = 0.95
NEVER = 9_999
"""Stands for a number of requests that was not enough."""
_DRAWS = 2_000
_QUANTILES = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A ratio of sums over seeds, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One policy and the oracles, in one world."""

    run: Run
    oracles: Oracles
    drafts: tuple[str, ...]
    drift: int | None


@dataclass(frozen=True, slots=True)
class Score:
    """One policy in one scenario, over all seeds."""

    over_plain: Estimate
    over_static: Estimate
    """Share of the best static global arm's goodput."""
    over_class: Estimate
    over_phase: Estimate
    """Share of the best static arm per class and phase."""
    over_request: Estimate
    over_reported: Estimate
    """Share of the best static arm per phase and class that the classifier names."""
    headroom: float
    """Goodput of the best static arms per class ÷ of the best one for all: what there is to adapt to."""
    requests_to_enough: int
    """First request from which on every window, up to the drift, is at 95 % of the class-and-phase oracle; `NEVER`
    where the last one isn't."""
    requests_to_recover: int | None
    """The same, counted from the drift to the end; None where there is none."""
    worst_prefix: float
    """Largest time ÷ plain decoding's over any prefix of at least 256 tokens, of any seed."""


def score(trials: Sequence[Trial]) -> Score:
    """Score one policy in one scenario."""
    phase = window_ratios(trials)
    drift = trials[0].drift
    before = phase if drift is None else phase[: max(0, drift - WINDOW + 1)]
    return Score(
        _against(trials, lambda oracles: oracles.plain),
        _against(trials, lambda oracles: oracles.static),
        _against(trials, lambda oracles: oracles.per_class),
        _against(trials, lambda oracles: oracles.per_class_and_phase),
        _against(trials, lambda oracles: oracles.per_request),
        _against(trials, lambda oracles: oracles.per_reported),
        float(sum(t.oracles.static.sum() for t in trials) / sum(t.oracles.per_class.sum() for t in trials)),
        _stays_enough(before),
        None if drift is None else _stays_enough(phase[drift:]),
        max(trial.run.worst_prefix for trial in trials),
    )


def window_ratios(trials: Sequence[Trial]) -> Array:
    """Goodput ÷ that of the class-and-phase oracle, over the `WINDOW` requests from each one on."""
    ours = windowed_seconds([trial.run.request_seconds for trial in trials])
    return windowed_seconds([trial.oracles.per_class_and_phase for trial in trials]) / ours


def bootstrap(ours: Array, theirs: Array) -> Estimate:
    """Σ theirs ÷ Σ ours over seeds, [S] each; seeds are drawn again, the pair together."""
    drawn = np.random.default_rng(0).integers(len(ours), size=(_DRAWS, len(ours)))
    low, high = np.quantile(theirs[drawn].sum(1) / ours[drawn].sum(1), _QUANTILES)
    return Estimate(float(theirs.sum() / ours.sum()), float(low), float(high))


def _against(trials: Sequence[Trial], choose: Callable[[Oracles], Array]) -> Estimate:
    """Share of an oracle's goodput; both commit the same tokens, so times say it."""
    ours = np.array([trial.run.seconds for trial in trials])
    return bootstrap(ours, np.array([choose(trial.oracles).sum() for trial in trials]))


def windowed_seconds(runs: Sequence[Array]) -> Array:
    """Seconds of the `WINDOW` requests from each one on, summed over runs; each run is [R]."""
    seconds = np.sum(runs, axis=0)
    return np.convolve(seconds, np.ones(min(WINDOW, len(seconds))), mode="valid")


def _stays_enough(ratios: Array) -> int:
    """The first window from which on all are enough: one that was only lucky does not count."""
    short = np.flatnonzero(ratios < ENOUGH)
    first = int(short[-1]) + 1 if len(short) else 0
    return first if first < len(ratios) else NEVER


def over(ours: Sequence[Trial], theirs: Sequence[Trial]) -> Estimate:
    """One policy's goodput ÷ another's, in the same worlds."""
    return bootstrap(np.array([trial.run.seconds for trial in ours]), np.array([t.run.seconds for t in theirs]))
