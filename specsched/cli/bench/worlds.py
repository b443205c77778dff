"""`specsched simulate` and `specsched replay` as two of `bench all`'s benchmarks."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from specsched.cli import replay, simulate

if TYPE_CHECKING:
    from specsched.cli.evaluation import Evaluation
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Report
    from specsched.pool.manifest import Pool

_MAX_GAMMA = 8
_TEMPERATURES = (0.0, 0.8)


def measure_simulation(evaluation: "Evaluation", say: "Progress") -> "Report":
    """Score the adaptive policy in synthetic worlds with a GPU's costs."""
    return evaluation.report(*simulate.synthetic(simulate.Costs.GPU, evaluation.requests), say)


def measure_replay(
    pool: "Pool", recorded: tuple[int, int, float], evaluation: "Evaluation", say: "Progress"
) -> "Report":
    """Record the pool on the packaged prompts, and score the adaptive policy on the half that nothing was tuned on.

    Raises:
        SetupError: a model that cannot be used.
    """
    from specsched.bench.replay.recording import Folder
    from specsched.cli.data import own_prompts
    from specsched.cli.headroom import measure_headroom
    from specsched.cli.recording import RecordJob, record_pool

    per_class, max_tokens, profile_seconds = recorded
    job = RecordJob(own_prompts(), per_class, max_tokens, _MAX_GAMMA, _TEMPERATURES, 0, profile_seconds)
    with TemporaryDirectory() as folder:
        record_pool(pool, job, Folder(Path(folder)), lambda what, done, total: say(f"{what}: {done} of {total}"))
        paths = Folder(Path(folder)).load()
    ready = replay.recorded(paths, replay.Half.REPORT, replay.Told.OTHER, replay.Costs.MEASURED, evaluation.requests)
    played = evaluation.report(*ready, say)
    there_is = measure_headroom(paths)
    checks = {check.name: check for check in (*played.checks, *there_is.checks)}  # of one name the exact one stays
    return replace(played, tables={**played.tables, **there_is.tables}, checks=list(checks.values()))
