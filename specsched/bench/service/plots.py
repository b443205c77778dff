"""The service's figures as one picture. matplotlib is an extra."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from specsched.bench.figures import pyplot
from specsched.bench.service.cost import Cost
from specsched.bench.service.over_engine import Load
from specsched.bench.service.scale import Point


def plot(cost: Cost, workers: Sequence[Point], loads: Sequence[Load], file: Path) -> None:
    """Draw the scheduler's own time, its growth with workers, and what callers see under load.

    Raises:
        SetupError: matplotlib is missing.
    """
    plt = pyplot()
    figure, (own, growth, seen) = plt.subplots(1, 3, figsize=(18, 4.5), layout="constrained")
    _draw_own(own, cost)
    _draw_growth(growth, workers)
    _draw_loads(seen, loads)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
    plt.close(figure)


def _draw_own(axis: Any, cost: Cost) -> None:
    seconds = np.sort(cost.own_seconds)
    axis.plot(seconds * 1e3, np.linspace(0, 1, len(seconds)))
    title = f"between caller and worker, {cost.half_per_second:.0f} calls/s"
    axis.set(xscale="log", xlabel="milliseconds", ylabel="share of messages", title=title)


def _draw_growth(axis: Any, points: Sequence[Point]) -> None:
    counts = [point.setting.workers for point in points]
    axis.plot(counts, [point.calls_per_second for point in points], marker="o", label="measured")
    axis.plot(counts, [points[0].calls_per_second * count / counts[0] for count in counts], "--", label="linear")
    axis.set(xlabel="workers", ylabel="calls/s", title="fake workers of equal speed")
    axis.legend()


def _draw_loads(axis: Any, loads: Sequence[Load]) -> None:
    rates = [load.calls_per_second for load in loads]
    for q in (0.5, 0.99):
        axis.plot(rates, [load.first(q) * 1e3 for load in loads], marker="o", label=f"first token, p{q * 100:.0f}")
        axis.plot(rates, [load.per_token(q) * 1e3 for load in loads], marker="s", label=f"per token, p{q * 100:.0f}")
    axis.set(yscale="log", xlabel="calls/s", ylabel="milliseconds", title="the pool's own worker, Poisson arrivals")
    axis.legend(fontsize="small")
