"""Tokens per second by class and contender, and acceptance by class and draft. matplotlib is an extra."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from specsched.bench.engine.acceptance import Acceptance
from specsched.bench.engine.tournament import Result
from specsched.bench.figures import pyplot


def plot_speeds(results: Sequence[Result], file: Path) -> Path:
    """Draw every contender, plain and in its best mode, by class.

    Raises:
        SetupError: matplotlib is missing.
    """
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(14, 4.5), layout="constrained")
    names = list(results[0].plain)
    bars = [(f"{name}, {what}", [getattr(r, what)[name].rate for r in results]) for name in names for what in _WHAT]
    width = 0.8 / len(bars)
    for number, (label, rates) in enumerate(bars):
        axis.bar(np.arange(len(results)) + number * width, rates, width, label=label)
    axis.set_xticks(np.arange(len(results)) + 0.4 - width / 2, [result.prompt_class for result in results])
    axis.set(ylabel="tokens/s, one row, prompt left out", title="plain decoding and each contender's best mode")
    axis.legend(fontsize="small", ncols=2)
    return _save(plt, figure, file)


def plot_acceptance(cells: Sequence[Acceptance], file: Path) -> Path:
    """Draw the matrix and, beside it, the hazards over positions, mean over classes.

    Raises:
        SetupError: matplotlib is missing.
    """
    plt = pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
    drafts, classes = list(dict.fromkeys(c.draft for c in cells)), list(dict.fromkeys(c.prompt_class for c in cells))
    found = {(cell.prompt_class, cell.draft): cell for cell in cells}
    matrix = [[found[name, draft].accepted for draft in drafts] for name in classes]
    _matrix(axes[0], matrix, drafts, classes)
    for draft in drafts:
        columns = zip(*(found[name, draft].hazards for name in classes), strict=True)
        means = [np.mean([v for v in column if v is not None] or [np.nan]) for column in columns]
        axes[1].plot(range(1, len(means) + 1), means, marker="o", label=draft)
    axes[1].set(xlabel="position in the round", ylabel="hazard, mean over classes", ylim=(0, 1))
    axes[1].legend(fontsize="small")
    return _save(plt, figure, file)


_WHAT = ("plain", "best")


def _matrix(axis: Any, values: Sequence[Sequence[float]], drafts: Sequence[str], classes: Sequence[str]) -> None:
    axis.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    axis.set_xticks(range(len(drafts)), drafts, rotation=45, ha="right")
    axis.set_yticks(range(len(classes)), classes)
    axis.set_title("accepted ÷ judged, greedy")
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if value < 0.6 else "black")


def _save(plt: Any, figure: Any, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
    plt.close(figure)
    return file
