"""`specsched bench engine`: plain and speculative decoding, in fp32 and INT8, against transformers' modes."""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.bench.contest import (
    ENVIRONMENTS,
    FP32,
    INT8,
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
from specsched.cli.bench.engine_checks import (
    THEIRS,
    concurrency_check,
    copying_check_of_pool,
    plain_checks,
    speculation_checks,
    their_checks,
)
from specsched.cli.bench.random_target import measure_random_target
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
    from specsched.modelkit.report import Report, Table
    from specsched.pool.manifest import Pool


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much `bench engine` measures beside the match."""

    batches: bool = True
    """Whether every class is measured at every batch size."""
    acceptance_tokens: int = 64


WHOLE = Sizes()


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


def measure_engine(pool: "Pool", match: "Match", places: "Places", say: "Progress", sizes: Sizes = WHOLE) -> "Report":
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
        checks = [*plain_checks(results, int8), *speculation_checks(results), *their_checks(results)]
        checks.append(concurrency_check(int8, questions, match))
        say("copying")
        checks.append(copying_check_of_pool(pool, int8, match, places, say))
        cells = measure_acceptance(ours[FP32].contender, _reported(questions), sizes.acceptance_tokens)
        tables["acceptance"] = acceptance_table(cells)
        if sizes.batches:
            tables["batches"] = _batch_table(_batches(int8, results, _reported(questions), match, say))
    if places.plots is not None:
        plot_speeds(results, places.plots / "engine.png")
        plot_acceptance(cells, places.plots / "acceptance.png")
    return Report(tables, checks)


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
