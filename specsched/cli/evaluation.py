"""What `simulate` and `replay run` share: a job with its progress bar, its tables, its checks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.options import spread
from specsched.cli.output import errors, print_table

if TYPE_CHECKING:
    from specsched.bench.evaluation.contenders import Contestants
    from specsched.bench.evaluation.experiment import Job, Say, Scenario, Trials
    from specsched.bench.evaluation.scores import Score
    from specsched.modelkit.report import Check, Report, Table

Scores = Mapping[str, "Mapping[str, Score]"]
"""Scenario → policy → score."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `simulate` and `replay run` are both asked for."""

    scenario: Annotated[
        list[str] | None, typer.Option("--scenario", help="A ready scenario; all of them if none is named.")
    ] = None
    seeds: Annotated[int, typer.Option(min=1, help="Worlds per scenario.")] = 20
    first_seed: Annotated[
        int, typer.Option(min=0, help="Of the first world. Report on other seeds than those that were tuned on.")
    ] = 0
    requests: Annotated[int, typer.Option(min=30, help="Requests per world.")] = 300
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            help="KIND, KIND:DRAFT or KIND:DRAFT:GAMMA, as adaptive or fixed:small:4. Checks are the first's.",
        ),
    ] = None
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Add every other kind, with every draft where it needs one.")
    ] = False
    processes: Annotated[int, typer.Option(min=1, help="Worlds that run side by side.")] = 1
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Keep every world's runs in this folder; again with it goes on there.")
    ] = None
    json_file: Annotated[Path | None, typer.Option("--json", help="Write tables and checks to this file.")] = None
    plots: Annotated[
        Path | None, typer.Option("--plots", help="Draw regret, goodput and arms over time into this folder.")
    ] = None

    def report(self, ready: "Mapping[str, Scenario]", contestants: "Contestants", say: "Say") -> "Report":
        """Run what was asked for.

        Raises:
            SetupError: no such scenario or policy.
        """
        from specsched.bench.evaluation.experiment import run

        return _report(run(self._job(ready, contestants), say))

    def run(self, command: str, ready: "Mapping[str, Scenario]", contestants: "Contestants") -> None:
        """Run what was asked for, print what came of it, write and draw it.

        Raises:
            SetupError: no such scenario or policy.
        """
        trials = _run(self._job(ready, contestants))
        report = _report(trials)
        for table in report.tables.values():
            print_table(table.title, table.columns, table.rows)
        rows = [(check.name, check.value, check.bar, check.holds) for check in report.checks]
        print_table("Checks", ("name", "value", "bar", "holds"), rows)
        if self.json_file:
            self.json_file.write_text(json.dumps(report.as_json(command), indent=1) + "\n", encoding="utf-8")
        if self.plots:
            from specsched.bench.evaluation.plots import plot

            plot(trials, self.plots)

    def _job(self, ready: "Mapping[str, Scenario]", contestants: "Contestants") -> "Job":
        from specsched.bench.evaluation.experiment import Job
        from specsched.bench.evaluation.kept import NOTHING, KeptFolder

        contenders = contestants.chosen(self.policy or ["adaptive"], baselines=self.baselines)
        seeds = range(self.first_seed, self.first_seed + self.seeds)
        kept = KeptFolder(self.keep) if self.keep else NOTHING
        return Job(_named(self.scenario, ready), contenders, seeds, self.processes, kept)


evaluated = spread("evaluation", Evaluation)


@dataclass(frozen=True, slots=True)
class Bars:
    """What the first policy is asked for."""

    percent_of_oracle: float = 0.96
    over_best_static_phase_shift: float = 1.05
    requests_to_95_percent: float = 100
    requests_to_recover: float = 150
    worst_prefix_slowdown: float = 1.03
    headroom_class_over_global: float = 0.08


def _named(names: Sequence[str] | None, ready: "Mapping[str, Scenario]") -> "tuple[Scenario, ...]":
    """Return the scenarios of these names, all if there are none."""
    from specsched.errors import SetupError

    unknown = [name for name in names or () if name not in ready]
    if unknown:
        raise SetupError(f"--scenario {unknown[0]!r}: give one of {', '.join(ready)}")
    return tuple(ready[name] for name in names or ready)


def _run(job: "Job") -> "Trials":
    from rich.progress import Progress

    from specsched.bench.evaluation.experiment import run

    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task("worlds", total=job.worlds)
        return run(job, lambda what: progress.update(task, advance=1, description=what))


def _report(trials: "Trials") -> "Report":
    from specsched.bench.evaluation.scores import score
    from specsched.modelkit.report import Report

    scores = {name: {policy: score(of) for policy, of in policies.items()} for name, policies in trials.items()}
    tables = {"scores": _table(scores)}
    duels = _duels(trials)
    if duels.rows:
        tables["duels"] = duels
    return Report(tables, [*_checks(scores), *_duel_checks(duels)])


def _table(scores: Scores) -> "Table":
    from specsched.modelkit.report import Table

    rows = [
        (
            scenario,
            policy,
            *(s.over_plain.value, s.over_static.value, s.over_class.value),
            *(s.over_phase.value, s.over_phase.low, s.over_phase.high, s.over_request.value, s.over_reported.value),
            *(s.requests_to_enough, s.requests_to_recover, s.worst_prefix),
        )
        for scenario, policies in scores.items()
        for policy, s in policies.items()
    ]
    shares = ("static", "class", "phase", "low", "high", "request", "reported")
    columns = ("scenario", "policy", "plain", *shares, "to_95", "recover", "worst_prefix")
    title = (
        "Goodput ÷ plain decoding's and ÷ each oracle's; phase with 95 % interval, reported by the classifier's word"
    )
    return Table(title, columns, rows)


def _duels(trials: "Trials") -> "Table":
    from specsched.bench.evaluation.scores import over
    from specsched.modelkit.report import Table

    rows = []
    for scenario, policies in trials.items():
        first, *others = policies
        for other in others:
            ratio = over(policies[first], policies[other])
            verdict = "better" if ratio.low > 1 else "worse" if ratio.high < 1 else "tie"
            rows.append((scenario, first, other, ratio.value, ratio.low, ratio.high, verdict))
    columns = ("scenario", "policy", "other", "ratio", "low", "high", "verdict")
    return Table("Goodput of the first policy ÷ another's, with 95 % interval", columns, rows)


def _checks(scores: Scores) -> "list[Check]":
    """The first policy's worst scenario against each bar."""
    from specsched.modelkit.report import Check

    bars, first = Bars(), {scenario: next(iter(policies.values())) for scenario, policies in scores.items()}
    every = list(first.values())
    checks = [
        Check("percent_of_oracle", min(s.over_phase.value for s in every), bars.percent_of_oracle),
        Check("percent_of_reported_oracle", min(s.over_reported.value for s in every), bars.percent_of_oracle),
    ]
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
    if "stationary" in first:
        gain = first["stationary"].headroom - 1
        checks.append(Check("headroom_class_over_global", gain, bars.headroom_class_over_global))
    return checks


def _duel_checks(duels: "Table") -> "list[Check]":
    """How often another policy is faster beyond doubt."""
    if not duels.rows:
        return []
    return [_at_most("duels_lost", [sum(row[-1] == "worse" for row in duels.rows)], 0)]


def _at_most(name: str, values: Sequence[float], bar: float) -> "Check":
    from specsched.modelkit.report import Check

    return Check(name, float(max(values)), bar, at_most=True)
