"""Regret, goodput over time and arms over time: one picture a scenario. matplotlib is an extra."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from specsched.bench.evaluation.experiment import Trials
from specsched.bench.evaluation.scores import Trial, windowed_seconds
from specsched.bench.figures import pyplot
from specsched.records import NO_DRAFT


def plot(trials: Trials, folder: Path) -> list[Path]:
    """Draw every scenario; returns the files.

    Raises:
        SetupError: matplotlib is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [_plot_scenario(name, policies, folder / f"{name}.png") for name, policies in trials.items()]


def _plot_scenario(name: str, policies: Mapping[str, Sequence[Trial]], file: Path) -> Path:
    plt = pyplot()
    figure, axes = plt.subplots(1, 3, figsize=(18, 4.5), layout="constrained")
    _draw_regret(axes[0], policies)
    _draw_goodput(axes[1], policies)
    first = next(iter(policies))
    _draw_arms(axes[2], policies[first])
    axes[2].set_title(f"rounds of {first} by draft")
    figure.suptitle(f"{name}, {len(policies[first])} seeds")
    figure.savefig(file, dpi=120)
    plt.close(figure)
    return file


def _draw_regret(axis: Any, policies: Mapping[str, Sequence[Trial]]) -> None:
    for name, trials in policies.items():
        ours = np.mean([trial.run.request_seconds for trial in trials], axis=0)
        best = np.mean([trial.oracles.per_class_and_phase for trial in trials], axis=0)
        axis.plot((ours - best).cumsum(), label=name)
    axis.set(xlabel="request", ylabel="seconds", title="regret against the best static arm per class and phase")
    axis.legend(fontsize="small")


def _draw_goodput(axis: Any, policies: Mapping[str, Sequence[Trial]]) -> None:
    some = next(iter(policies.values()))
    plain = windowed_seconds([trial.oracles.plain for trial in some])
    best = windowed_seconds([trial.oracles.per_class_and_phase for trial in some])
    axis.plot(plain / best, color="black", linestyle="dashed", label="best static per class and phase")
    for name, trials in policies.items():
        axis.plot(plain / windowed_seconds([trial.run.request_seconds for trial in trials]), label=name)
    if some[0].drift is not None:
        axis.axvline(some[0].drift, color="grey", linewidth=0.8)
    axis.set(xlabel="request", ylabel="goodput × plain", title="goodput over time")
    axis.legend(fontsize="small")


def _draw_arms(axis: Any, trials: Sequence[Trial]) -> None:
    rounds = np.sum([trial.run.drafted for trial in trials], axis=0)  # [R, 1 + D]
    shares = (rounds / rounds.sum(1, keepdims=True)).T
    axis.stackplot(range(len(rounds)), shares, labels=(NO_DRAFT, *trials[0].drafts), alpha=0.7)
    gammas = axis.twinx()
    gammas.plot(np.mean([trial.run.gammas for trial in trials], axis=0), color="black", linewidth=0.8)
    gammas.set_ylabel("mean γ")
    axis.set(xlabel="request", ylabel="share of rounds", ylim=(0, 1))
    axis.legend(fontsize="small", loc="lower right")
