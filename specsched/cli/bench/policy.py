"""`specsched bench policy`: what a decision and a round's choice cost."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.bench.running import FileOption, print_checks, run
from specsched.cli.output import one_line_errors

if TYPE_CHECKING:
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Report

_BATCHES = (1, 4, 8, 32)


@one_line_errors
def policy(
    decisions: Annotated[int, typer.Option(min=100, help="Decisions to time.")] = 3000, json_file: FileOption = None
) -> None:
    """Time the adaptive policy: decisions while rounds are observed, and the round controller per row."""
    report = run("policy", partial(measure_policy, decisions), json_file, "specsched bench policy")
    print_checks(report.checks)


def measure_policy(decisions: int, say: "Progress") -> "Report":
    """Time, and report."""
    from specsched.bench.policy_speed import Size, time_decisions, time_rounds
    from specsched.modelkit.report import Check, Report, Table

    small, large = Size(8, 9, 8), Size(100, 8, 50)
    say("decisions")
    usual, many = time_decisions(small, decisions), time_decisions(large, max(100, decisions // 10))
    say("rounds")
    rounds = {rows: time_rounds(rows, Size(3, 8, 8), decisions // 3) for rows in _BATCHES}
    rows = [
        ("decision", "8 drafts × 9 γ × 8 classes", usual.p50 * 1e6, usual.p99 * 1e6),
        ("decision", "100 drafts × 8 γ × 50 classes", many.p50 * 1e6, many.p99 * 1e6),
        *(("round, per row", f"{batch} rows", q.p50 * 1e6, q.p99 * 1e6) for batch, q in rounds.items()),
    ]
    checks = [
        Check("decision_p50_seconds", usual.p50, 150e-6, at_most=True),
        Check("decision_p99_seconds", usual.p99, 1e-3, at_most=True),
        Check("decision_large_p50_seconds", many.p50, 2e-3, at_most=True),
        Check("controller_lone_row_p50_seconds", rounds[1].p50, 30e-6, at_most=True),
        Check("controller_row_of_eight_p50_seconds", rounds[8].p50, 30e-6, at_most=True),
    ]
    columns = ("what", "size", "p50_us", "p99_us")
    return Report({"policy": Table("Time of the policy itself, in microseconds", columns, rows)}, checks)
