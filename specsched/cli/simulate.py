"""`specsched simulate`: policies in synthetic worlds whose truth is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.output import errors, one_line_errors, print_table
from specsched.errors import SetupError

if TYPE_CHECKING:
    from specsched.bench.simulation.experiment import Job, Trials
    from specsched.bench.simulation.scenarios import Scenario
    from specsched.bench.simulation.scores import Score
    from specsched.modelkit.report import Check, Report, Table

Scores = Mapping[str, "Mapping[str, Score]"]
"""Scenario → policy → score."""


class Costs(StrEnum):
    """Whose costs a world has."""

    GPU = "gpu"
    CPU = "cpu"


@dataclass(frozen=True, slots=True)
class Bars:
    """What the first policy is asked for."""

    percent_of_oracle: float = 0.96
    over_best_static_phase_shift: float = 1.05
    requests_to_95_percent: float = 100
    requests_to_recover: float = 150
    worst_prefix_slowdown: float = 1.03


@one_line_errors
def simulate(
    scenario: Annotated[list[str] | None, typer.Option(help="A ready scenario; all of them if none is named.")] = None,
    *,
    costs: Annotated[Costs, typer.Option(help="Like those of a GPU, or of a CPU.")] = Costs.GPU,
    seeds: Annotated[int, typer.Option(min=1, help="Worlds per scenario.")] = 20,
    requests: Annotated[int, typer.Option(min=30, help="Requests per world.")] = 300,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="KIND, KIND:DRAFT or KIND:DRAFT:GAMMA, as adaptive or fixed:small:4. Checks are the first's."
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write tables and checks to this file.")] = None,
    plots: Annotated[
        Path | None, typer.Option(help="Draw regret, goodput and arms over time into this folder.")
    ] = None,
) -> None:
    """Score policies in synthetic worlds against what could have been had, in hindsight."""
    import json

    from specsched.bench.simulation.contenders import parse
    from specsched.bench.simulation.experiment import Job

    contenders = tuple(parse(text) for text in policy or ["adaptive"])
    job = Job(_scenarios(scenario), contenders, costs.value, seeds, requests)
    trials = _run(job)
    report = _report(trials)
    for table in report.tables.values():
        print_table(table.title, table.columns, table.rows)
    print_table("Checks", ("name", "value", "bar", "holds"), [(c.name, c.value, c.bar, c.holds) for c in report.checks])
    if json_file:
        json_file.write_text(json.dumps(report.as_json("specsched simulate"), indent=1) + "\n", encoding="utf-8")
    if plots:
        from specsched.bench.simulation.plots import plot

        plot(trials, plots)


def _scenarios(names: Sequence[str] | None) -> tuple["Scenario", ...]:
    from specsched.bench.simulation.scenarios import SCENARIOS

    unknown = [name for name in names or () if name not in SCENARIOS]
    if unknown:
        raise SetupError(f"--scenario {unknown[0]!r}: give one of {', '.join(SCENARIOS)}")
    return tuple(SCENARIOS[name] for name in names or SCENARIOS)


def _run(job: "Job") -> "Trials":
    from rich.progress import Progress

    from specsched.bench.simulation.experiment import simulate as run_all

    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task("simulating", total=job.worlds + 1)
        return run_all(job, lambda what: progress.update(task, advance=1, description=what))


def _report(trials: "Trials") -> "Report":
    from specsched.bench.simulation.scores import score
    from specsched.modelkit.report import Report

    scores = {name: {policy: score(of) for policy, of in policies.items()} for name, policies in trials.items()}
    tables = {"simulation": _table(scores)}
    if len(next(iter(trials.values()))) > 1:
        tables["duels"] = _duels(trials)
    return Report(tables, _checks(scores))


def _table(scores: Scores) -> "Table":
    from specsched.modelkit.report import Table

    rows = [
        (
            scenario,
            policy,
            *(s.over_plain.value, s.over_static.value, s.over_class.value),
            *(s.over_phase.value, s.over_phase.low, s.over_phase.high, s.over_request.value),
            *(s.requests_to_enough, s.requests_to_recover, s.worst_prefix),
        )
        for scenario, policies in scores.items()
        for policy, s in policies.items()
    ]
    shares = ("static", "class", "phase", "low", "high", "request")
    columns = ("scenario", "policy", "plain", *shares, "to_95", "recover", "worst_prefix")
    return Table("Goodput ÷ plain decoding's and ÷ each oracle's; phase with 95 % interval", columns, rows)


def _duels(trials: "Trials") -> "Table":
    from specsched.bench.simulation.scores import over
    from specsched.modelkit.report import Table

    rows = []
    for scenario, policies in trials.items():
        first, *others = policies
        for other in others:
            ratio = over(policies[first], policies[other])
            rows.append((scenario, first, other, ratio.value, ratio.low, ratio.high))
    columns = ("scenario", "policy", "other", "ratio", "low", "high")
    return Table("Goodput of the first policy ÷ another's, with 95 % interval", columns, rows)


def _checks(scores: Scores) -> "list[Check]":
    """The first policy's worst scenario against each bar."""
    from specsched.modelkit.report import Check

    bars, first = Bars(), {scenario: next(iter(policies.values())) for scenario, policies in scores.items()}
    every = list(first.values())
    checks = [Check("percent_of_oracle", min(s.over_phase.value for s in every), bars.percent_of_oracle)]
    if "phase_shift" in first:
        gain = first["phase_shift"].over_static.value
        checks.append(Check("over_best_static_phase_shift", gain, bars.over_best_static_phase_shift))
    checks.append(
        _at_most("requests_to_95_percent", [s.requests_to_enough for s in every], bars.requests_to_95_percent)
    )
    recovered = [s.requests_to_recover for s in every if s.requests_to_recover is not None]
    if recovered:
        checks.append(_at_most("requests_to_recover", recovered, bars.requests_to_recover))
    checks.append(_at_most("worst_prefix_slowdown", [s.worst_prefix for s in every], bars.worst_prefix_slowdown))
    return checks


def _at_most(name: str, values: Sequence[float], bar: float) -> "Check":
    from specsched.modelkit.report import Check

    class AtMost(Check):
        """A number that is better small."""

        @property
        def holds(self) -> bool:
            return self.value <= self.bar

    return AtMost(name, float(max(values)), bar)
