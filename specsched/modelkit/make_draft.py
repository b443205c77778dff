"""From a target folder and prompts to a draft folder: generate, teach, distil, export."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from specsched.errors import SetupError
from specsched.modelkit.corpus import CorpusError, Record
from specsched.modelkit.distill import DistillSettings, Report, distill
from specsched.modelkit.draft import DraftShape, build_draft
from specsched.modelkit.export import export
from specsched.modelkit.generation import GenerationSettings, Sample, generate
from specsched.modelkit.language_model import LanguageModel, load_language_model
from specsched.modelkit.objectives import OBJECTIVES
from specsched.modelkit.precision import fast_bfloat16
from specsched.modelkit.prompts import draw_samples, load_answers, load_prompts
from specsched.modelkit.traces import TaughtTrace, Trace, load_taught, save_taught, teach
from specsched.pool.compatibility import check_vocabulary

TEMPERATURES = (0.0, 0.8)
HELD_OUT = 0.1
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DraftJob:
    """One run of `models distill`."""

    target: Path
    out: Path
    prompts: Path
    classes: tuple[str, ...] = ()
    """Empty for all."""
    per_class: int = 500
    answers: int = 0
    """Per class, records whose own completion the draft learns on too: the target reads it and writes nothing."""
    max_new_tokens: int = 128
    max_prompt_tokens: int = 384
    tokens: int = 500_000
    shape: DraftShape = field(default_factory=DraftShape)
    start: Path | None = None
    objective: str = "auto"
    seed: int = 0
    device: str = "cpu"
    cache: Path | None = None
    """Keeps taught traces by class, so that several drafts learn from one generation."""

    def longest_prompt(self, target: LanguageModel) -> int:
        """Tokens that a prompt may have."""
        return min(self.max_prompt_tokens, target.context_tokens - self.max_new_tokens)


def make_draft(job: DraftJob, report: Report, say: Say = lambda _: None) -> Mapping[tuple[str, float], float]:
    """Distil and write the draft; returns its acceptance on held-out prompts.

    Raises:
        SetupError: no such class, objective or model; a draft to go on from with another vocabulary.
    """
    if job.objective not in {"auto", *OBJECTIVES}:
        raise SetupError(f"objective: {job.objective!r} is none of auto, {', '.join(OBJECTIVES)}")
    say("loading the target")
    target = load_language_model(job.target, device=job.device)
    train, held_out = lessons(job, target, say)
    draft = _draft(job, target)
    settings = DistillSettings(tokens=job.tokens, objective=job.objective, seed=job.seed)
    acceptance = distill(target, draft, train, held_out, settings, report)
    export(draft.network, job.target, job.out)
    return acceptance


def _draft(job: DraftJob, target: LanguageModel) -> LanguageModel:
    if job.start is None:
        return build_draft(target, job.shape, job.seed)
    check_vocabulary(job.target, job.start)
    return load_language_model(job.start, device=job.device)


def lessons(job: DraftJob, target: LanguageModel, say: Say) -> tuple[list[TaughtTrace], list[TaughtTrace]]:
    """Taught traces to learn from and to measure on, of different prompts.

    A corpus gives its `valid` split for measuring; elsewhere every tenth prompt is held out.
    """
    both = load_prompts(job.prompts, "train")
    if (job.prompts / next(iter(both)) / "train.jsonl.zst").exists() or list(job.prompts.glob("*/valid.jsonl*")):
        train, held_out = both, load_prompts(job.prompts, "valid")
    else:
        every = round(1 / HELD_OUT)
        train = {c: [p for i, p in enumerate(ps) if i % every] for c, ps in both.items()}
        held_out = {c: ps[::every] for c, ps in both.items()}
    few = max(2, round(HELD_OUT * job.per_class))
    learnt = _taught(job, target, train, job.per_class, say) + _read(job, target, say)
    return learnt, _taught(job, target, held_out, few, say)


def _read(job: DraftJob, target: LanguageModel, say: Say) -> list[TaughtTrace]:
    """Lessons over text that is not the target's own: cheap and plenty.

    What the target itself would write is what counts in the end (DistillSpec, arXiv 2310.08461, section 5), so they
    stand beside its own completions, never alone.
    """
    if not job.answers:
        return []
    say("the target reads")
    records = load_answers(job.prompts, job.classes, job.answers, job.seed)
    answers = (_answer(job, target, record) for of_class in records.values() for record in of_class)
    return teach(_fast(job, target), [answer for answer in answers if answer is not None])


def _answer(job: DraftJob, target: LanguageModel, record: Record) -> Trace | None:
    """A record as a trace: None where its prompt is too long or its completion is nothing."""
    prompt = target.prompt_ids(record.prompt)
    completion = target.tokenizer(record.completion, add_special_tokens=False).input_ids
    completion = (completion + sorted(target.eos_ids)[:1])[: job.max_new_tokens]
    if not completion or len(prompt) > job.longest_prompt(target):
        return None
    return Trace(record.category, 1.0, tuple(prompt), tuple(completion))


def _taught(
    job: DraftJob, target: LanguageModel, prompts: Mapping[str, Sequence[str]], per_class: int, say: Say
) -> list[TaughtTrace]:
    chosen = {c: texts for c, texts in prompts.items() if not job.classes or c in job.classes}
    if not chosen:
        raise CorpusError(
            f"{job.prompts}: no prompts of class {', '.join(job.classes)}; there are {', '.join(prompts)}"
        )
    longest = job.longest_prompt(target)
    samples = draw_samples(target, chosen, per_class, TEMPERATURES, max_prompt_tokens=longest, seed=job.seed)
    if not samples:
        raise CorpusError(f"{job.prompts}: no prompt fits into {longest} tokens")
    classes = sorted({category for category, _ in samples})
    return [one for c in classes for one in _taught_class(job, target, [s for s in samples if s[0] == c], say)]


def _taught_class(
    job: DraftJob, target: LanguageModel, samples: Sequence[tuple[str, Sample]], say: Say
) -> list[TaughtTrace]:
    if job.cache is None:
        return _generate(job, target, samples, say)
    file = job.cache / f"{_digest(job, samples)}.pt"
    if file.exists():
        return load_taught(file)
    taught = _generate(job, target, samples, say)
    job.cache.mkdir(parents=True, exist_ok=True)
    save_taught(file, taught)
    return taught


def _generate(
    job: DraftJob, target: LanguageModel, samples: Sequence[tuple[str, Sample]], say: Say
) -> list[TaughtTrace]:
    written = 0

    def count(tokens: int) -> None:
        nonlocal written
        written += tokens
        say(f"the target writes, {samples[0][0]}: {written:,} tokens")

    writer = _fast(job, target)
    settings = GenerationSettings(max_new_tokens=job.max_new_tokens, seed=job.seed)
    completions = generate(writer, [sample for _, sample in samples], settings, count)
    traces = [
        Trace(category, sample.temperature, sample.prompt_ids, completion)
        for (category, sample), completion in zip(samples, completions, strict=True)
        if completion
    ]
    return teach(writer, traces)


def _fast(job: DraftJob, target: LanguageModel) -> LanguageModel:
    """The target in bf16, to write and to read with."""
    if not fast_bfloat16(job.device):
        return target
    return load_language_model(job.target, dtype=torch.bfloat16, device=job.device)


def _digest(job: DraftJob, samples: Sequence[tuple[str, Sample]]) -> str:
    weights = "".join(f"{p.name}{p.stat().st_size}{p.stat().st_mtime_ns}" for p in job.target.glob("*.safetensors"))
    return hashlib.sha256(f"{weights}{job.max_new_tokens}{job.seed}{samples}".encode()).hexdigest()[:16]
