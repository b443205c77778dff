"""An evaluation as tables and checks: what the command prints and what it writes as JSON (BENCHMARKS.md)."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers

from specsched.modelkit.evaluate import Evaluation, Key
from specsched.modelkit.goodput import PLAIN, Headroom, headroom, marginal_goodput
from specsched.modelkit.measure import SpeedUp
from specsched.policy.base import Arm

HEADROOM_BAR = 0.08
GREEDY_BAR, SAMPLED_BAR = 0.70, 0.60
CLASSES_BAR = 6
HOME_BAR = 0.05

Value = str | float | int | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to print or to write."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Value]]

    def records(self) -> list[dict[str, Value]]:
        """One mapping a row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Check:
    """A number that was asked for, with its bar."""

    name: str
    value: float
    bar: float
    at_most: bool = False
    """Better small: the bar is the most that it may be."""

    @property
    def holds(self) -> bool:
        """Whether the value reaches the bar, or stays below it."""
        return self.value <= self.bar if self.at_most else self.value >= self.bar


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation says."""

    tables: Mapping[str, Table]
    checks: Sequence[Check]

    def as_json(self, command: str) -> dict[str, Any]:
        """The format of every benchmark."""
        return {
            "command": command,
            "environment": environment(),
            "tables": {name: table.records() for name, table in self.tables.items()},
            "checks": [{"name": c.name, "value": c.value, "bar": c.bar, "holds": c.holds} for c in self.checks],
        }


def environment() -> dict[str, Value]:
    """Where the figures come from."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def make_report(
    evaluation: Evaluation,
    homes: Mapping[str, tuple[str, str]] | None = None,
    speedups: Mapping[str, SpeedUp] | None = None,
    losses: Mapping[str, Mapping[str, float]] | None = None,
) -> Report:
    """Tables and checks of an evaluation.

    Args:
        evaluation: What was measured.
        homes: Specialist → (its class, the general draft of its size), for the check at home.
        speedups: Class → what was measured with the engine.
        losses: Model → class → held-out loss.
    """
    sober = evaluation.without_loops()
    tables = {
        "acceptance": _acceptance(evaluation, "Acceptance, class × draft"),
        "acceptance_without_loops": _acceptance(sober, "Acceptance, looping outputs left out"),
        "loops": _loops(evaluation),
        "hazards": _hazards(sober),
        "costs": _costs(evaluation),
        "goodput": _goodput(evaluation, "Best static arm in predicted goodput"),
        "goodput_without_loops": _goodput(sober, "Best static arm, looping outputs left out"),
        "marginal_goodput": _marginal(evaluation),
    }
    if speedups:
        tables["speedup"] = _speedup(sober, speedups)
    if losses:
        tables["held_out_loss"] = _losses(losses)
    return Report(
        tables, [*_headroom_checks(evaluation, sober), *_acceptance_checks(sober), *_home_checks(sober, homes or {})]
    )


def _acceptance(evaluation: Evaluation, title: str) -> Table:
    drafts = evaluation.drafts
    rows: list[Sequence[Value]] = [
        [*key, *(cell.acceptance(draft) for draft in drafts), evaluation.best(key)[0]]
        for key, cell in evaluation.cells.items()
    ]
    return Table(title, ("class", "temperature", *drafts, "best"), rows)


def _loops(evaluation: Evaluation) -> Table:
    rows: list[Sequence[Value]] = [
        [
            *key,
            len(cell.traces),
            float(np.mean([len(t.completion_ids) for t in cell.traces])),
            cell.repeated,
            cell.copied,
            cell.looping,
        ]
        for key, cell in evaluation.cells.items()
    ]
    columns = ("class", "temperature", "outputs", "mean_tokens", "repeated_4grams", "copied_4grams", "looping")
    return Table("Share of completion 4-grams that stood in the completion before, and in the prompt", columns, rows)


def _hazards(evaluation: Evaluation) -> Table:
    rows: list[Sequence[Value]] = [
        [*key, draft, *cell.hazards(draft)] for key, cell in evaluation.cells.items() for draft in evaluation.drafts
    ]
    positions = [f"position_{j + 1}" for j in range(len(rows[0]) - 3)]
    return Table("Hazards, looping outputs left out", ("class", "temperature", "draft", *positions), rows)


def _costs(evaluation: Evaluation) -> Table:
    costs = evaluation.costs
    rows: list[Sequence[Value]] = [(f"verify {n}", seconds * 1e3) for n, seconds in enumerate(costs.verify, start=1)]
    for name, (overhead, step) in costs.drafts.items():
        rows += [(f"{name}: once a round", overhead * 1e3), (f"{name}: per token", step * 1e3)]
    return Table("Measured step costs, one row", ("step", "milliseconds"), rows)


def _arm(arm: Arm) -> str:
    return f"{arm.draft_model} γ={arm.gamma}" if arm.gamma else "plain"


def _goodput(evaluation: Evaluation, title: str) -> Table:
    rows: list[Sequence[Value]] = []
    for temperature in evaluation.temperatures:
        table = evaluation.goodputs(temperature)
        found = headroom(table)
        plain = found.plain_goodput
        rows += [
            [name, temperature, _arm(arm), table[name][arm] / plain, table[name][found.global_arm] / plain]
            for name, arm in found.arms.items()
        ]
        rows.append(["all", temperature, _arm(found.global_arm), found.over_plain, found.global_goodput / plain])
    return Table(title, ("class", "temperature", "best_arm", "over_plain", "global_arm_over_plain"), rows)


def _speedup(sober: Evaluation, speedups: Mapping[str, SpeedUp]) -> Table:
    table = sober.goodputs(0.0)
    rows: list[Sequence[Value]] = [
        [name, _arm(one.arm), table[name][one.arm] / table[name][PLAIN], one.over_plain]
        for name, one in speedups.items()
    ]
    columns = ("class", "arm", "predicted_over_plain", "measured_over_plain")
    return Table("Speed-up of the best arm, greedy, looping outputs left out", columns, rows)


def _losses(losses: Mapping[str, Mapping[str, float]]) -> Table:
    classes = next(iter(losses.values()))
    rows: list[Sequence[Value]] = [[name, *(of_model[name] for of_model in losses.values())] for name in classes]
    return Table("Held-out loss, nats a token", ("class", *losses), rows)


def _marginal(evaluation: Evaluation) -> Table:
    found = {t: marginal_goodput(evaluation.goodputs(t)) for t in evaluation.temperatures}
    rows: list[Sequence[Value]] = [[d, *(found[t][d] for t in evaluation.temperatures)] for d in evaluation.drafts]
    columns = ("draft", *(f"temperature_{t:g}" for t in evaluation.temperatures))
    return Table("Share of goodput lost without the draft", columns, rows)


def _headroom_checks(evaluation: Evaluation, sober: Evaluation) -> list[Check]:
    def gains(which: Evaluation) -> float:
        return float(np.mean([_headroom(which, t).gain for t in which.temperatures]))

    return [
        Check("headroom_class_over_global", gains(evaluation), HEADROOM_BAR),
        Check("headroom_class_over_global_without_loops", gains(sober), HEADROOM_BAR),
    ]


def _headroom(evaluation: Evaluation, temperature: float) -> Headroom:
    return headroom(evaluation.goodputs(temperature))


def _acceptance_checks(sober: Evaluation) -> list[Check]:
    def reaching(bar: float, right: Callable[[Key], bool]) -> float:
        return sum(sober.best(key)[1] >= bar for key in sober.cells if right(key))

    winners = {sober.best(key)[0] for key in sober.cells}
    return [
        Check("classes_accepting_70_percent_greedy", reaching(GREEDY_BAR, lambda key: key[1] == 0), CLASSES_BAR),
        Check("classes_accepting_60_percent_sampled", reaching(SAMPLED_BAR, lambda key: key[1] > 0), CLASSES_BAR),
        Check("drafts_best_somewhere", len(winners), 2),
    ]


def _home_checks(sober: Evaluation, homes: Mapping[str, tuple[str, str]]) -> list[Check]:
    return [
        Check(f"{draft}_over_{general}_at_home", _home_gain(sober, draft, general, home), HOME_BAR)
        for draft, (home, general) in homes.items()
        if home in sober.classes and {draft, general} <= set(sober.drafts)
    ]


def _home_gain(sober: Evaluation, draft: str, general: str, home: str) -> float:
    cells = [cell for (category, _), cell in sober.cells.items() if category == home]
    return float(np.mean([cell.acceptance(draft) - cell.acceptance(general) for cell in cells]))
