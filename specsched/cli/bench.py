"""`specsched bench …`: what is claimed, measured on this machine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.options import PoolOption
from specsched.cli.output import console, one_line_errors, print_table

if TYPE_CHECKING:
    from specsched.bench.identity import Outcome
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Check, Report, Table
    from specsched.pool.manifest import Pool

app = typer.Typer(no_args_is_help=True, help="Measure.")

PromptsOption = Annotated[int, typer.Option(min=1, help="Prompts, spread over the classes.")]
TokensOption = Annotated[int, typer.Option(min=2, help="Longest completion, in tokens.")]
FileOption = Annotated[Path | None, typer.Option("--json", help="Write tables and checks to this file.")]

_IDENTITY_CHECK = "greedy_identity"
_PLAIN_CHECK = "plain_over_transformers_plain"
_PLAIN_BAR = 1.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much `bench all` measures."""

    identity_prompts: int = 200
    identity_tokens: int = 64
    plain_prompts: int = 16
    plain_tokens: int = 96
    evaluated_per_class: int = 40
    evaluated_tokens: int = 128
    measured_per_class: int = 2


QUICK = Sizes(
    identity_prompts=24,
    identity_tokens=32,
    plain_prompts=8,
    plain_tokens=48,
    evaluated_per_class=3,
    evaluated_tokens=48,
    measured_per_class=1,
)
"""Under ten minutes on two slow cores."""


@app.command()
@one_line_errors
def identity(
    pool: PoolOption = None, prompts: PromptsOption = 200, max_tokens: TokensOption = 64, json_file: FileOption = None
) -> None:
    """Hold greedy tokens against transformers' generate(), arms changing every round; exits 1 where one differs."""
    members = _members(pool)
    report = _run("identity", partial(_identity, members, prompts, max_tokens), json_file, "specsched bench identity")
    _print_checks(report.checks)
    raise typer.Exit(int(not _identical(report.checks)))


@app.command()
@one_line_errors
def plain(
    pool: PoolOption = None, prompts: PromptsOption = 16, max_tokens: TokensOption = 96, json_file: FileOption = None
) -> None:
    """Time plain decoding against transformers' generate(): one row at a time, both in turns."""
    members = _members(pool)
    report = _run("plain", partial(_plain, members, prompts, max_tokens), json_file, "specsched bench plain")
    _print_checks(report.checks)


@app.command("all")
@one_line_errors
def run_all(
    pool: PoolOption = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: under ten minutes.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for one JSON file per benchmark.")] = Path("runs/bench"),
) -> None:
    """Run every benchmark. Exits 1, and goes no further, where greedy tokens differ: speed would mean nothing."""
    out.mkdir(parents=True, exist_ok=True)
    checks: list[Check] = []
    for name, measure in _benchmarks(_members(pool), QUICK if quick else Sizes()).items():
        checks += _run(name, measure, out / f"{name}.json", "specsched bench all").checks
        if not _identical(checks):
            break
    _print_checks(checks)
    raise typer.Exit(int(not _identical(checks)))


def _benchmarks(pool: "Pool", sizes: Sizes) -> Mapping[str, "Callable[[Progress], Report]"]:
    return {
        "identity": partial(_identity, pool, sizes.identity_prompts, sizes.identity_tokens),
        "plain": partial(_plain, pool, sizes.plain_prompts, sizes.plain_tokens),
        "evaluate": partial(_evaluate, pool, sizes),
    }


def _run(name: str, measure: "Callable[[Progress], Report]", json_file: Path | None, command: str) -> "Report":
    """Measure, print the tables, and write the JSON, which names the command."""
    import json
    import time

    started = time.monotonic()
    console.print(f"[bold]{name}[/bold]")
    with console.status(name) as status:
        report = measure(status.update)
    for table in report.tables.values():
        print_table(table.title, table.columns, table.rows)
    console.print(f"{time.monotonic() - started:.0f} s", style="dim", highlight=False)
    if json_file:
        json_file.write_text(json.dumps(report.as_json(command), indent=1) + "\n", encoding="utf-8")
    return report


def _identity(pool: "Pool", prompts: int, max_tokens: int, say: "Progress") -> "Report":
    from specsched.bench.identity import BATCHES, IdentityJob, check_identity, summarise
    from specsched.modelkit.report import Check, Report, Table

    outcomes = check_identity(pool, IdentityJob(prompts, max_tokens), say)
    lines = summarise(outcomes)
    columns = ("class", "prompts", "tokens", "batch", "equal", "ties", "differing", "drafts")
    rows = [(r.prompt_class, r.prompts, r.tokens, r.batch, r.equal, r.ties, r.differing, r.accepted) for r in lines]
    title = "Greedy tokens against transformers' generate(), fp32; drafts: tokens that came from a draft"
    tables = {"identity": Table(title, columns, rows)}
    if any(outcome.flips for outcome in outcomes):
        tables["flips"] = _flips(outcomes)
    agreeing = {r.batch: 1 - r.differing / r.prompts for r in lines if r.prompt_class == "all"}
    return Report(tables, [Check(f"{_IDENTITY_CHECK}_batch_{batch}", agreeing[batch], 1.0) for batch in BATCHES])


def _flips(outcomes: "Sequence[Outcome]") -> "Table":
    import math

    from specsched.modelkit.report import Table

    rows = [
        (
            outcome.question.id,
            outcome.batch,
            flip.position,
            flip.got,
            flip.expected,
            None if math.isinf(flip.gap) else f"{flip.gap:.1e}",
            "tie" if flip.tie else "differs",
        )
        for outcome in outcomes
        for flip in outcome.flips
    ]
    columns = ("prompt", "batch", "position", "got", "expected", "logit_gap", "verdict")
    return Table("Tokens that are not the target's", columns, rows)


def _plain(pool: "Pool", prompts: int, max_tokens: int, say: "Progress") -> "Report":
    from specsched.bench.plain import PlainJob, check_plain, summarise
    from specsched.modelkit.report import Check, Report, Table

    lines = summarise(check_plain(pool, PlainJob(prompts, max_tokens), say))
    columns = ("class", "prompts", "same", "our_ms", "their_ms", "ratio", "low", "high")
    rows = [
        (
            line.prompt_class,
            line.prompts,
            line.counted,
            line.our_seconds_per_token * 1e3,
            line.their_seconds_per_token * 1e3,
            line.ratio,
            *(line.interval or (None, None)),
        )
        for line in lines
    ]
    table = Table(
        "Plain decoding against transformers' generate(), per token; ratio: theirs ÷ ours, with 95 % interval",
        columns,
        rows,
    )
    return Report({"plain": table}, [Check(_PLAIN_CHECK, lines[-1].ratio, _PLAIN_BAR)])


def _evaluate(pool: "Pool", sizes: Sizes, say: "Progress") -> "Report":
    import specsched.bench
    from specsched.modelkit.evaluate_pool import EvaluationJob, evaluate_pool, homes_of
    from specsched.modelkit.report import make_report

    job = EvaluationJob(
        prompts=Path(next(iter(specsched.bench.__path__))) / "prompts",
        per_class=sizes.evaluated_per_class,
        max_new_tokens=sizes.evaluated_tokens,
        measured=sizes.measured_per_class,
    )
    found = evaluate_pool(pool, job, say)
    homes = homes_of(pool, found.evaluation.classes)
    return make_report(found.evaluation, homes, found.speedups, found.losses)


def _members(pool: Path | None) -> "Pool":
    from specsched.pool.manifest import default_manifest, load_pool

    return load_pool(pool or default_manifest())


def _identical(checks: "Sequence[Check]") -> bool:
    return all(check.holds for check in checks if check.name.startswith(_IDENTITY_CHECK))


def _print_checks(checks: "Sequence[Check]") -> None:
    rows = [(c.name, c.value, c.bar, "yes" if c.holds else "[red]no") for c in checks]
    print_table("Checks", ("name", "value", "bar", "holds"), rows)
