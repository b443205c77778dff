"""From a target folder and prompts to a draft folder: generate, teach, distil, export."""

import shutil
from collections.abc import Mapping

from specsched.modelkit.attention import prefer_blocks
from specsched.modelkit.distill import DistillSettings, Report, distill
from specsched.modelkit.draft import build_draft
from specsched.modelkit.draft_job import DraftJob
from specsched.modelkit.export import export
from specsched.modelkit.language_model import LanguageModel, load_language_model
from specsched.modelkit.lessons import Say, lessons
from specsched.modelkit.precision import fast_bfloat16
from specsched.pool.compatibility import check_vocabulary


def make_draft(job: DraftJob, report: Report, say: Say = lambda _: None) -> Mapping[tuple[str, float], float]:
    """Distil and write the draft, going on where a killed run was; returns its acceptance on held-out prompts.

    Raises:
        SetupError: no such class or model; a draft to go on from with another vocabulary.
    """
    say("loading the target")
    target = load_language_model(job.target, device=job.device)
    train, held_out = lessons(job, target, say)
    draft = _draft(job, target)
    prefer_blocks(draft.network)
    settings = DistillSettings(
        tokens=job.tokens,
        objective=job.objective,
        rate=job.rate,
        seed=job.seed,
        mixed_precision=fast_bfloat16(job.device),
    )
    unfinished = job.out / "unfinished"
    acceptance = distill(target, draft, train, held_out, settings, report, unfinished)
    export(draft.network, job.target, job.out)
    shutil.rmtree(unfinished)
    return acceptance


def _draft(job: DraftJob, target: LanguageModel) -> LanguageModel:
    if job.start is None:
        return build_draft(target, job.shape, job.seed)
    check_vocabulary(job.target, job.start)
    return load_language_model(job.start, device=job.device)
