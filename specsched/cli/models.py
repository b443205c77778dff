"""`specsched models …`: what a pool holds, and what it is worth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.data import own_prompts
from specsched.cli.distilling import DataOption, distill, merge_models, mix_prompts
from specsched.cli.options import JsonOption
from specsched.cli.output import console, one_line_errors, print_json, print_table
from specsched.cli.refreshing import refresh
from specsched.cli.training import SeedOption, train, unloop

if TYPE_CHECKING:
    from specsched.modelkit.evaluate import Evaluation
    from specsched.modelkit.evaluate_pool import EvaluationJob, PoolEvaluation

app = typer.Typer(no_args_is_help=True, help="List, check, train, distil, refresh and evaluate models.")
app.command("train")(train)
app.command("unloop")(unloop)
app.command("prompts")(mix_prompts)
app.command("distill")(distill)
app.command("merge")(merge_models)
app.command("refresh")(refresh)

PoolOption = Annotated[Path | None, typer.Option("--pool", help="Manifest; the reference pool when left out.")]


@app.command("list")
@one_line_errors
def list_models(pool: PoolOption = None, *, as_json: JsonOption = False) -> None:
    """List the models of a pool."""
    from specsched.modelkit.listing import list_pool
    from specsched.pool.manifest import default_manifest, load_pool

    table = list_pool(load_pool(pool or default_manifest()))
    print_json(table.records()) if as_json else print_table(table.title, table.columns, table.rows)


@app.command()
@one_line_errors
def check(pool: PoolOption = None, *, as_json: JsonOption = False) -> None:
    """Check vocabulary, context, dtype, memory and licence of every model; exits 1 when something is wrong."""
    from dataclasses import asdict

    from specsched.modelkit.check import check_pool
    from specsched.pool.manifest import default_manifest, load_pool

    findings = check_pool(load_pool(pool or default_manifest()))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        rows = [(f.model, f.field, f"[red]{f.problem}" if f.problem else f.value) for f in findings]
        print_table("Pool", ("model", "field", "finding"), rows)
    raise typer.Exit(int(any(finding.problem for finding in findings)))


@app.command()
@one_line_errors
def evaluate(
    pool: PoolOption = None,
    data: DataOption = None,
    per_class: Annotated[int, typer.Option(help="Prompts per class.")] = 40,
    max_new_tokens: Annotated[int, typer.Option(help="Longest completion.")] = 128,
    measured: Annotated[int, typer.Option(help="Prompts per class to run with the engine; 0 leaves it out.")] = 2,
    corpus: Annotated[Path | None, typer.Option(help="Corpus whose valid split gives held-out losses.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder for plots.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write tables and checks to this file.")] = None,
    priors: Annotated[
        Path | None, typer.Option(help="Write what was found for `store.priors_file`: what a cold start believes.")
    ] = None,
    seed: SeedOption = 0,
) -> None:
    """Measure acceptance class × draft × temperature, hazards, step costs, and what adapting can gain."""
    import json

    from specsched.modelkit.evaluate_pool import EvaluationJob
    from specsched.modelkit.report import make_report

    job = EvaluationJob(data or own_prompts(), per_class, max_new_tokens, seed=seed, measured=measured, corpus=corpus)
    found, homes = _evaluate(pool, job)
    report = make_report(found.evaluation, homes, found.speedups, found.losses)
    for table in report.tables.values():
        print_table(table.title, table.columns, table.rows)
    checks = [(c.name, c.value, c.bar, "yes" if c.holds else "[red]no") for c in report.checks]
    print_table("Checks", ("name", "value", "bar", "holds"), checks)
    if json_file:
        json_file.write_text(json.dumps(report.as_json("specsched models evaluate"), indent=1) + "\n", encoding="utf-8")
    if priors:
        _write_priors(pool, found.evaluation, priors)
    if plots:
        from specsched.modelkit.plots import plot_evaluation

        console.print("plots: " + ", ".join(str(file) for file in plot_evaluation(found.evaluation, plots)))


def _write_priors(pool: Path | None, evaluation: "Evaluation", file: Path) -> None:
    from specsched.cli.stores import arm_versions
    from specsched.modelkit.priors import prior_cells
    from specsched.policy.exchange import cells_to_json
    from specsched.pool.manifest import default_manifest, load_pool

    cells = list(prior_cells(evaluation, arm_versions(load_pool(pool or default_manifest()))))
    file.write_text(cells_to_json(cells) + "\n", encoding="utf-8")
    console.print(f"priors: {file}")


@app.command("recommend")
@one_line_errors
def recommend_pool(
    pool: PoolOption = None,
    data: DataOption = None,
    per_class: Annotated[int, typer.Option(help="Prompts per class.")] = 20,
    max_new_tokens: Annotated[int, typer.Option(help="Longest completion.")] = 96,
    seed: SeedOption = 0,
    *,
    as_json: JsonOption = False,
) -> None:
    """Say which drafts to keep and which γ to allow, from the same evaluation."""
    from dataclasses import asdict

    from specsched.modelkit.evaluate_pool import EvaluationJob
    from specsched.modelkit.recommend import recommend

    evaluated, _ = _evaluate(pool, EvaluationJob(data or own_prompts(), per_class, max_new_tokens, seed=seed))
    found = recommend(evaluated.evaluation)
    if as_json:
        print_json(asdict(found))
        return
    rows: list[tuple[object, ...]] = [(draft, "keep", None) for draft in found.drafts]
    rows += [(draft, "drop", loss) for draft, loss in found.dropped.items()]
    print_table("Drafts", ("draft", "advice", "goodput lost without it"), rows)
    arms = [(name, arm.draft_model, arm.gamma) for name, arm in found.arms.items()]
    print_table(f"Arms to begin with, γ up to {found.max_gamma}", ("class@temperature", "draft", "γ"), arms)
    console.print(f"predicted: {found.over_plain:.2f} × plain decoding")


def _evaluate(pool: Path | None, job: "EvaluationJob") -> tuple["PoolEvaluation", dict[str, tuple[str, str]]]:
    from specsched.modelkit.evaluate_pool import evaluate_pool, homes_of
    from specsched.pool.manifest import default_manifest, load_pool

    members = load_pool(pool or default_manifest())
    with console.status("loading") as status:
        found = evaluate_pool(members, job, status.update)
    return found, homes_of(members, found.evaluation.classes)
