"""`specsched bench plain`: plain decoding against transformers' own."""

from functools import partial
from typing import TYPE_CHECKING

from specsched.cli.bench.running import FileOption, PromptsOption, TokensOption, members, print_checks, run
from specsched.cli.options import PoolOption
from specsched.cli.output import one_line_errors

if TYPE_CHECKING:
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Report
    from specsched.pool.manifest import Pool

_CHECK = "plain_over_transformers_plain"
_BAR = 1.2


@one_line_errors
def plain(
    pool: PoolOption = None, prompts: PromptsOption = 16, max_tokens: TokensOption = 96, json_file: FileOption = None
) -> None:
    """Time plain decoding against transformers' generate(): one row at a time, both in turns."""
    measure = partial(measure_plain, members(pool), prompts, max_tokens)
    report = run("plain", measure, json_file, "specsched bench plain")
    print_checks(report.checks)


def measure_plain(pool: "Pool", prompts: int, max_tokens: int, say: "Progress") -> "Report":
    """Race, and report."""
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
    return Report({"plain": table}, [Check(_CHECK, lines[-1].ratio, _BAR)])
