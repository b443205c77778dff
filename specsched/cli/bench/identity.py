"""`specsched bench identity`: greedy tokens against transformers' own."""

from functools import partial
from typing import TYPE_CHECKING

import typer

from specsched.cli.bench.running import FileOption, PromptsOption, TokensOption, members, print_checks, run
from specsched.cli.options import PoolOption
from specsched.cli.output import one_line_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specsched.bench.identity import Outcome
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Check, Report, Table
    from specsched.pool.manifest import Pool

_CHECK = "greedy_identity"


@one_line_errors
def identity(
    pool: PoolOption = None, prompts: PromptsOption = 200, max_tokens: TokensOption = 64, json_file: FileOption = None
) -> None:
    """Hold greedy tokens against transformers' generate(), arms changing every round; exits 1 where one differs."""
    measure = partial(measure_identity, members(pool), prompts, max_tokens)
    report = run("identity", measure, json_file, "specsched bench identity")
    print_checks(report.checks)
    raise typer.Exit(int(not identical(report.checks)))


def measure_identity(pool: "Pool", prompts: int, max_tokens: int, say: "Progress") -> "Report":
    """Compare, and report."""
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
    return Report(tables, [Check(f"{_CHECK}_batch_{batch}", agreeing[batch], 1.0) for batch in BATCHES])


def identical(checks: "Sequence[Check]") -> bool:
    """Whether no greedy token differs, as far as it was checked."""
    return all(check.holds for check in checks if check.name.startswith(_CHECK))


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
