"""`specsched bench engine --random-target`: where arithmetic dominates instead of overhead."""

from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from specsched.cli.bench.contest import FP32, INT8, ROWS, load_contender, speeds_table, start_peer
from specsched.cli.bench.engine_checks import THEIRS, concurrency_check, copying_check, mean_check, plain_checks

if TYPE_CHECKING:
    from specsched.bench.engine.tournament import Match
    from specsched.cli.bench.contest import Places
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Report
    from specsched.pool.manifest import Pool

CLASSES = 2
"""Of prompts: acceptance is synthetic, so they differ in their lengths alone."""


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
        found = questions_by_class(
            ours[FP32].contender, made, max(ROWS // CLASSES, 2 * match.per_class), match.max_tokens
        )
        questions = dict(islice(found.items(), CLASSES))
        results = play_classes([*(each.contender for each in ours.values()), theirs], questions, match, say)
        checks = [*plain_checks(results, ours[INT8]), mean_check(results, INT8, "speculation_over_plain_mean")]
        checks.append(concurrency_check(ours[INT8], questions, match))
        copying = load_contender(made, INT8, places, say, COPYING_RATES)
        checks.append(copying_check(copying, next(iter(questions.values())), match))
    if places.plots is not None:
        plot_speeds(results, places.plots / "engine_random_target.png")
    named = [Check(f"random_target_{c.name}", c.value, c.bar, at_most=c.at_most) for c in checks]
    return Report({"random_target": speeds_table(results, THEIRS, "; acceptance is synthetic")}, named)
