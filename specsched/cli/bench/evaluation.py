"""The pool's evaluation as one of `bench all`'s benchmarks; by itself it is `specsched models evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Report
    from specsched.pool.manifest import Pool


def measure_evaluation(
    pool: "Pool", per_class: int, max_tokens: int, timed_per_class: int, say: "Progress"
) -> "Report":
    """Evaluate on the packaged prompts, and report."""
    import specsched.bench
    from specsched.modelkit.evaluate_pool import EvaluationJob, evaluate_pool, homes_of
    from specsched.modelkit.report import make_report

    job = EvaluationJob(
        prompts=Path(next(iter(specsched.bench.__path__))) / "prompts",
        per_class=per_class,
        max_new_tokens=max_tokens,
        measured=timed_per_class,
    )
    found = evaluate_pool(pool, job, say)
    homes = homes_of(pool, found.evaluation.classes)
    return make_report(found.evaluation, homes, found.speedups, found.losses)
