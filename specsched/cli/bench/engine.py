"""`specsched bench engine`: plain and speculative decoding, in fp32 and INT8, against transformers' modes."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.bench.contest import (
    ENVIRONMENTS,
    EnvironmentsOption,
    PlotsOption,
    PythonOption,
    RepeatsOption,
    ThreadsOption,
    acceptance_table,
    load_contender,
    prepare,
    speeds_table,
    start_peer,
)
from specsched.cli.bench.running import FileOption, TokensOption, members, print_checks, run
from specsched.cli.options import PoolOption
from specsched.cli.output import one_line_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from specsched.bench.engine.batches import BatchSpeed
    from specsched.bench.engine.tournament import Match, Result
    from specsched.bench.reference import Question
    from specsched.cli.bench.contest import Loaded, Places
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Check, Report, Table
    from specsched.pool.manifest import Pool

FP32, INT8, THEIRS = "fp32", "int8", "transformers"
_COPYING = 8
"""Prompts that copy: half to choose a mode on, half to report on."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much `bench engine` measures beside the match."""

    batches: bool = True
    """Whether every class is measured at every batch size."""
    acceptance_tokens: int = 64


@one_line_errors
def engine(
    pool: PoolOption = None,
    per_class: Annotated[int, typer.Option(min=1, help="Prompts a class to choose modes on, and to report on.")] = 3,
    max_tokens: TokensOption = 64,
    repeats: RepeatsOption = 2,
    threads: ThreadsOption = 1,
    *,
    random_target: Annotated[
        bool, typer.Option("--random-target", help="A target of 90 million random weights, synthetic acceptance.")
    ] = False,
    environments: EnvironmentsOption = ENVIRONMENTS,
    python: PythonOption = None,
    json_file: FileOption = None,
    plots: PlotsOption = None,
) -> None:
    """Time plain and the best fixed speculation per class, in fp32 and INT8, beside transformers' plain and best."""
    places = prepare(threads, environments, python, plots)
    from specsched.bench.engine.tournament import Match

    match = Match(per_class, max_tokens, repeats)
    measure = measure_random_target if random_target else measure_engine
    report = run("engine", partial(measure, members(pool), match, places), json_file, "specsched bench engine")
    print_checks(report.checks)


def measure_engine(pool: "Pool", match: "Match", places: "Places", say: "Progress", sizes: Sizes = Sizes()) -> "Report":
    """Measure the target in both precisions beside transformers, and report."""
    from specsched.bench.engine.acceptance import measure_acceptance
    from specsched.bench.engine.plots import plot_acceptance, plot_speeds
    from specsched.bench.engine.questions import questions_by_class
    from specsched.bench.engine.tournament import play_classes
    from specsched.bench.peers.process import TRANSFORMERS
    from specsched.modelkit.report import Report

    with ExitStack() as stack:
        ours = {name: load_contender(pool, name, places, say) for name in (FP32, INT8)}
        questions = questions_by_class(ours[FP32].contender, pool, 2 * match.per_class, match.max_tokens)
        theirs = start_peer(TRANSFORMERS, pool, places, stack, say)
        assert theirs is not None, "transformers is always here"
        results = play_classes([*(each.contender for each in ours.values()), theirs], questions, match, say)
        tables = {"engine": speeds_table(results, THEIRS)}
        int8 = ours[INT8]
        checks = [*_plain_checks(results, int8), *_speculation_checks(results), *_their_checks(results)]
        checks += _row_checks(int8, questions, match)
        say("copying")
        checks.append(_copying_check(pool, int8, match, places, say))
        cells = measure_acceptance(ours[FP32].contender, _reported(questions), sizes.acceptance_tokens)
        tables["acceptance"] = acceptance_table(cells)
        if sizes.batches:
            tables["batches"] = _batch_table(_batches(int8, results, _reported(questions), match, say))
    if places.plots is not None:
        plot_speeds(results, places.plots / "engine.png")
        plot_acceptance(cells, places.plots / "acceptance.png")
    return Report(tables, checks)


def measure_random_target(pool: "Pool", match: "Match", places: "Places", say: "Progress") -> "Report":
    """The same for a target of random weights, where arithmetic dominates; acceptance is synthetic."""
    import tempfile

    from specsched.bench.engine.plots import plot_speeds
    from specsched.bench.engine.questions import questions_by_class
    from specsched.bench.engine.random_target import COPYING_RATES, RATES, random_pool
    from specsched.bench.engine.tournament import play_classes
    from specsched.bench.peers.process import TRANSFORMERS
    from specsched.modelkit.report import Check, Report

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = random_pool(pool, folder)
        theirs = start_peer(TRANSFORMERS, replace(made, drafts=()), places, stack, say)  # no draft agrees with it
        assert theirs is not None, "transformers is always here"
        ours = {name: load_contender(made, name, places, say, RATES) for name in (FP32, INT8)}
        questions = questions_by_class(ours[FP32].contender, made, 2 * match.per_class, match.max_tokens)
        results = play_classes([*(each.contender for each in ours.values()), theirs], questions, match, say)
        checks = [*_plain_checks(results, ours[INT8]), _mean_check(results, INT8, "speculation_over_plain_mean")]
        checks += _row_checks(ours[INT8], questions, match)
        ours.clear()
        copying = load_contender(made, INT8, places, say, COPYING_RATES)
        checks.append(_copying(copying, [asked[0] for asked in questions.values()], match))
    if places.plots is not None:
        plot_speeds(results, places.plots / "engine_random_target.png")
    named = [Check(f"random_target_{c.name}", c.value, c.bar, at_most=c.at_most) for c in checks]
    return Report({"random_target": speeds_table(results, THEIRS)}, named)


def _plain_checks(results: "Sequence[Result]", int8: "Loaded") -> "list[Check]":
    from specsched.bench.engine.costs import verify_ratio
    from specsched.bench.engine.tournament import plain_over
    from specsched.modelkit.report import Check

    return [
        Check("plain_over_transformers_plain", plain_over(results, FP32, THEIRS), 1.2),
        Check("verify_cost_8_over_1", verify_ratio(int8.engine.describe()), 1.35, at_most=True),
        Check("int8_plain_over_transformers_plain", plain_over(results, INT8, THEIRS), 1.5),
    ]


def _speculation_checks(results: "Sequence[Result]") -> "list[Check]":
    from statistics import fmean

    from specsched.bench.engine.tournament import without_loops
    from specsched.modelkit.report import Check

    return [
        _mean_check(results, INT8, "speculation_over_plain_mean"),
        _mean_check(without_loops(results, INT8), INT8, "speculation_over_plain_mean_without_loops"),
        _mean_check(results, FP32, "fp32_speculation_over_plain_mean"),
        Check("fp32_speculative_tokens_equal", fmean(float(result.identical(FP32)) for result in results), 1.0),
    ]


def _mean_check(results: "Sequence[Result]", contender: str, name: str) -> "Check":
    from statistics import fmean

    from specsched.modelkit.report import Check

    return Check(name, fmean(result.over_plain(contender) for result in results) if results else 0.0, 1.6)


def _their_checks(results: "Sequence[Result]") -> "list[Check]":
    from specsched.bench.engine.tournament import mean_over
    from specsched.modelkit.report import Check

    return [
        Check("over_transformers_best", mean_over(results, FP32, THEIRS), 2.0),
        Check("int8_over_transformers_best", mean_over(results, INT8, THEIRS), 2.0),
    ]


def _row_checks(int8: "Loaded", questions: "Mapping[str, Sequence[Question]]", match: "Match") -> "list[Check]":
    from specsched.bench.engine.batches import concurrency
    from specsched.modelkit.report import Check

    heads = [asked[0] for asked in questions.values()]
    return [
        Check("concurrency_8_over_1", concurrency(int8.engine, heads, match.max_tokens, match.repeats, int8.clock), 3)
    ]


def _copying_check(pool: "Pool", int8: "Loaded", match: "Match", places: "Places", say: "Progress") -> "Check":
    """Where the target's output copies; with synthetic acceptance where this target never does."""
    from specsched.bench.engine.questions import copying_questions
    from specsched.bench.engine.random_target import COPYING_RATES

    found = copying_questions(int8.contender, pool, _COPYING, match.max_tokens)
    if len(found) >= _COPYING // 2:
        return _copying(int8, found, match)
    say("copying, synthetic: this target does not copy")
    asked = copying_questions(int8.contender, pool, _COPYING, match.max_tokens, share=0.0)
    return _copying(load_contender(pool, INT8, places, say, COPYING_RATES), asked, match)


def _copying(loaded: "Loaded", asked: "Sequence[Question]", match: "Match") -> "Check":
    from specsched.bench.engine.tournament import play_classes
    from specsched.modelkit.report import Check

    (result,) = play_classes([loaded.contender], {"copying": asked}, match)
    return Check("speculation_over_plain_copying", result.over_plain(loaded.contender.name), 2.5)


def _reported(questions: "Mapping[str, Sequence[Question]]") -> "dict[str, Sequence[Question]]":
    """The prompts that are reported, by class."""
    return {name: asked[len(asked) // 2 :] for name, asked in questions.items()}


def _batches(
    int8: "Loaded",
    results: "Sequence[Result]",
    questions: "Mapping[str, Sequence[Question]]",
    match: "Match",
    say: "Progress",
) -> "list[BatchSpeed]":
    from specsched.bench.engine.batches import batch_speeds

    modes = {result.prompt_class: result.best[INT8].entry.mode for result in results}
    return batch_speeds(int8.engine, questions, modes, match.max_tokens, say, int8.clock)


def _batch_table(speeds: "Sequence[BatchSpeed]") -> "Table":
    from specsched.modelkit.report import Table

    rows = [(s.prompt_class, s.batch, str(s.mode), s.plain, s.speculative, s.speculative / s.plain) for s in speeds]
    columns = ("class", "batch", "mode", "plain_tok_s", "speculative_tok_s", "over_plain")
    return Table("INT8, tokens/s of all rows together, prompts included", columns, rows)
