"""`specsched replay`: paths recorded once, on which every policy is scored exactly in law."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.bench.running import FileOption, print_checks
from specsched.cli.bench.running import run as run_benchmark
from specsched.cli.evaluation import Evaluation, evaluated
from specsched.cli.options import ConfigOption, PoolOption
from specsched.cli.output import console, errors, one_line_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specsched.bench.evaluation.contenders import Contestants
    from specsched.bench.evaluation.experiment import Scenario
    from specsched.bench.replay.recording import Recording
    from specsched.policy.memory import Cell

LoopsOption = Annotated[bool, typer.Option("--without-loops", help="Leave out completions that repeat themselves.")]
DraftsOption = Annotated[
    list[str] | None, typer.Option("--draft", help="A draft that there is; again for more. All by default.")
]

app = typer.Typer(help="Record the target's paths once; score any policy on them.", invoke_without_command=True)


class Costs(StrEnum):
    """Whose costs a replay has."""

    MEASURED = "measured"
    INT8 = "int8"
    GPU = "gpu"
    CPU = "cpu"


class Half(StrEnum):
    """Which prompts a replay plays."""

    TUNE = "tune"
    REPORT = "report"
    ALL = "all"


class Told(StrEnum):
    """What policies know of the drafts before a replay."""

    NONE = "none"
    OTHER = "other"


@app.callback()
@one_line_errors
def replay(
    context: typer.Context,
    *,
    telemetry: Annotated[
        Path | None, typer.Option("--from-telemetry", help="Acceptance records of a service: a file, or their folder.")
    ] = None,
    config: ConfigOption = None,
    draws: Annotated[int, typer.Option(min=10, help="Times that each decision is drawn again.")] = 100,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write what was found to this file.")] = None,
) -> None:
    """Record the target's paths once; score any policy on them. Or learn from what a service has logged."""
    if context.invoked_subcommand is not None:
        return
    if telemetry is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
    from specsched.cli.telemetry import from_telemetry

    from_telemetry(telemetry, config, draws, json_file)


@app.command()
@one_line_errors
def record(
    out: Annotated[Path, typer.Option(help="Folder of the recording; run it again to go on with one.")],
    pool: PoolOption = None,
    *,
    data: Annotated[Path | None, typer.Option("--data", help="Prompts; the project's own when left out.")] = None,
    per_class: Annotated[int, typer.Option(min=2, help="Prompts per class.")] = 40,
    max_tokens: Annotated[int, typer.Option(min=8, help="Longest completion.")] = 128,
    max_gamma: Annotated[int, typer.Option(min=1, max=64, help="Largest lookahead that can be replayed.")] = 8,
    temperature: Annotated[
        list[float] | None, typer.Option(min=0.0, help="0 is greedy; again for more. 0 and 0.8 by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of prompts and of what is sampled.")] = 0,
    profile_seconds: Annotated[float, typer.Option(min=0.1, help="Time to measure what rounds cost.")] = 20.0,
) -> None:
    """Let the target write once per prompt and temperature, hold every draft against it, measure costs."""
    from rich.progress import Progress

    from specsched.bench.replay.recording import Folder
    from specsched.cli.data import own_prompts
    from specsched.cli.recording import RecordJob, record_pool
    from specsched.pool.manifest import default_manifest, load_pool

    temperatures = tuple(dict.fromkeys(temperature or (0.0, 0.8)))
    job = RecordJob(data or own_prompts(), per_class, max_tokens, max_gamma, temperatures, seed, profile_seconds)
    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task("loading", total=None)
        record_pool(
            load_pool(pool or default_manifest()),
            job,
            Folder(out),
            lambda what, done, total: progress.update(task, description=what, completed=done, total=total),
        )
    console.print(f"recorded: {out}")


@app.command()
@one_line_errors
@evaluated
def run(
    folder: Annotated[Path, typer.Argument(help="What `replay record` made.")],
    *,
    costs: Annotated[
        Costs, typer.Option(help="Measured with the paths, in float32 or INT8; or like a GPU's or CPU's.")
    ] = (Costs.MEASURED),
    half: Annotated[Half, typer.Option(help="Tune on one half of the prompts, report on the other.")] = Half.REPORT,
    priors: Annotated[
        Told, typer.Option(help="Policies begin with what the prompts that are not played show, or with nothing.")
    ] = (Told.OTHER),
    without_loops: LoopsOption = False,
    drafts: DraftsOption = None,
    evaluation: Evaluation,
) -> None:
    """Score policies on recorded paths against what could have been had, in hindsight."""
    from specsched.bench.replay.recording import Folder
    from specsched.bench.replay.scenarios import with_drafts, without_looping

    paths = with_drafts(Folder(folder).load(), drafts or ())
    paths = without_looping(paths) if without_loops else paths
    evaluation.run("specsched replay run", *recorded(paths, half, priors, costs, evaluation.requests))


@app.command("priors")
@one_line_errors
def write_priors(
    folder: Annotated[Path, typer.Argument(help="What `replay record` made of the pool.")],
    out: Annotated[Path, typer.Option(help="File to write: `priors` of a manifest, or `store.priors_file`.")],
    pool: PoolOption = None,
    *,
    half: Annotated[Half, typer.Option(help="Whose paths; those to report on are better left out.")] = Half.TUNE,
) -> None:
    """Write what a service may believe of a pool's drafts before its first request."""
    from specsched.bench.replay.priors import prior_cells
    from specsched.bench.replay.recording import Folder
    from specsched.bench.replay.scenarios import chosen_paths
    from specsched.cli.recording import recorded_versions
    from specsched.cli.stores import arm_versions
    from specsched.errors import SetupError
    from specsched.policy.exchange import cells_to_json
    from specsched.pool.manifest import default_manifest, load_pool

    members, paths = load_pool(pool or default_manifest()), Folder(folder).load()
    if paths.head.versions != recorded_versions(members):
        raise SetupError(f"{folder}: other weights were recorded than {members.manifest} names")
    cells = list(prior_cells(chosen_paths(paths, half.value), arm_versions(members)))
    out.write_text(cells_to_json(cells) + "\n", encoding="utf-8")
    console.print(f"priors: {out}")


@app.command("headroom")
@one_line_errors
def compare(
    folder: Annotated[Path, typer.Argument(help="What `replay record` made.")],
    *,
    without_loops: LoopsOption = False,
    drafts: DraftsOption = None,
    json_file: FileOption = None,
) -> None:
    """Compare the best static arm per class with the best one for all: what there is to adapt to."""
    from specsched.bench.replay.recording import Folder
    from specsched.bench.replay.scenarios import with_drafts, without_looping
    from specsched.cli.headroom import measure_headroom

    paths = with_drafts(Folder(folder).load(), drafts or ())
    paths = without_looping(paths) if without_loops else paths
    report = run_benchmark(
        "headroom",
        lambda _say: measure_headroom(paths),
        json_file,
        "specsched replay headroom",
    )
    print_checks(report.checks)


def recorded(
    paths: "Recording", half: Half, priors: Told, costs: Costs, requests: int
) -> "tuple[Mapping[str, Scenario], Contestants]":
    """Return the ready scenarios on one half of these paths, with so many requests a world, and who can play there."""
    from specsched.bench.evaluation.contenders import Contestants
    from specsched.bench.replay.scenarios import PLOTS, Replayed, chosen_paths, grid_like

    played, grid = chosen_paths(paths, half.value), grid_like(costs.value, paths)
    told = _of_others(paths, half) if priors is Told.OTHER else ()
    ready = {name: Replayed(plot, played, grid, requests, told) for name, plot in PLOTS.items()}
    return ready, Contestants(paths.head.drafts, paths.head.max_gamma)


def _of_others(paths: "Recording", half: Half) -> "tuple[Cell, ...]":
    """What the prompts show that are not played: nothing where all are."""
    from specsched.bench.replay.priors import prior_cells
    from specsched.bench.replay.scenarios import chosen_paths
    from specsched.policy.priors import weakened

    others = {Half.TUNE: Half.REPORT, Half.REPORT: Half.TUNE}
    return weakened(list(prior_cells(chosen_paths(paths, others[half].value), {}))) if half in others else ()
