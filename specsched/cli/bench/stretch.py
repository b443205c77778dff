"""`specsched bench stretch`: what a long prompt that arrives does to a row that decodes."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.bench.running import FileOption, members, print_checks, run
from specsched.cli.options import PoolOption
from specsched.cli.output import one_line_errors

if TYPE_CHECKING:
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Report
    from specsched.pool.manifest import Pool

_CHECK = "long_prompt_stretch_p99"
_BAR = 2.0


@one_line_errors
def stretch(
    pool: PoolOption = None,
    prompt_tokens: Annotated[int, typer.Option(min=2, help="Tokens of the prompt that arrives.")] = 1_500,
    repeats: Annotated[int, typer.Option(min=1, help="Arrivals, in turns with decoding alone.")] = 3,
    json_file: FileOption = None,
) -> None:
    """Time a row's tokens while a long prompt arrives, against the row alone."""
    measure = partial(measure_stretch, members(pool), prompt_tokens, repeats)
    report = run("stretch", measure, json_file, "specsched bench stretch")
    print_checks(report.checks)


def measure_stretch(pool: "Pool", prompt_tokens: int, repeats: int, say: "Progress") -> "Report":
    """Measure, and report."""
    from specsched.bench.stretch import StretchJob, check_stretch
    from specsched.modelkit.report import Check, Report, Table

    lines = check_stretch(pool, StretchJob(prompt_tokens, repeats), say)
    columns = ("draft", "alone_p50_ms", "alone_p99_ms", "beside_p50_ms", "beside_p99_ms", "stretch_p99", "arrival_s")
    rows = [
        (
            line.draft_model,
            1e3 * line.alone_p50,
            1e3 * line.alone_p99,
            1e3 * line.beside_p50,
            1e3 * line.beside_p99,
            line.stretch_p99,
            line.arrival_seconds,
        )
        for line in lines
    ]
    title = f"A row's time per token beside a prompt of {prompt_tokens} tokens that arrives, and alone"
    worst = max(line.stretch_p99 for line in lines)
    return Report({"stretch": Table(title, columns, rows)}, [Check(_CHECK, worst, _BAR, at_most=True)])
