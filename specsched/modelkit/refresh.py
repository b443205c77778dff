"""Refreshing a draft: what it met is learnt, what it became is measured, and only what is better takes its place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from specsched.errors import SetupError
from specsched.modelkit.distill import DistillProgress, Report
from specsched.modelkit.draft_job import DraftJob
from specsched.modelkit.lessons import Say
from specsched.modelkit.make_draft import make_draft
from specsched.modelkit.weakness import Weakness
from specsched.pool.edit import replace_draft
from specsched.pool.manifest import ModelSpec, Pool
from specsched.pool.weights import verify_weights


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A draft in a new version."""

    draft_model: str
    folder: Path
    sha256: str
    before: float
    """Mean acceptance on held-out prompts of the classes that it was refreshed for."""
    after: float

    @property
    def better(self) -> bool:
        """Whether it should take the old version's place."""
        return self.after > self.before


def refreshing(pool: Pool, weak: Sequence[Weakness], classes: int) -> tuple[ModelSpec, tuple[str, ...]]:
    """The draft to refresh, and for which classes: the weakest ones of those where it is the best there is.

    Raises:
        SetupError: nothing was recorded often enough.
    """
    if not weak:
        raise SetupError("the records say too little of any draft of the pool")
    draft = weak[0].draft_model
    spec = next(spec for spec in pool.drafts if spec.id == draft)
    return spec, tuple(one.prompt_class for one in weak[:classes] if one.draft_model == draft)


def refresh(spec: ModelSpec, job: DraftJob, report: Report, say: Say) -> Refreshed:
    """Make a new version of a draft; it lies beside the old one, named by its hash. The manifest stays as it is.

    Args:
        spec: The draft.
        job: Goes on from it, to a folder beside it.
        report: Told of every step.
        say: Told what is done.

    Raises:
        SetupError: models or text that cannot be used.
    """
    seen: list[float] = []

    def watch(step: DistillProgress) -> None:
        if step.acceptance:
            seen.append(fmean(step.acceptance.values()))
        report(step)

    make_draft(job, watch, say)
    weights = verify_weights(replace(spec, path=job.out, sha256=None))
    folder = job.out.with_name(f"{spec.id}-{weights.version}")
    if not folder.exists():  # else it is the same version again
        job.out.rename(folder)
    return Refreshed(spec.id, folder, weights.sha256, before=seen[0], after=seen[-1])


def adopt(pool: Pool, refreshed: Refreshed) -> None:
    """Have the manifest name the new version; `specsched drafts load` takes it up."""
    replace_draft(pool.manifest, refreshed.draft_model, refreshed.folder, refreshed.sha256)
