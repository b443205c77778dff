"""What a draft learns from: the target's own completions, and text that it only reads."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch

from specsched.modelkit.corpus import CorpusError, Record
from specsched.modelkit.draft_job import DraftJob
from specsched.modelkit.generation import GenerationSettings, Sample, generate
from specsched.modelkit.language_model import LanguageModel, load_language_model
from specsched.modelkit.precision import fast_bfloat16
from specsched.modelkit.prompts import draw_samples, load_answers, load_prompts
from specsched.modelkit.traces import TaughtTrace, Trace, load_taught, save_taught, teach
from specsched.text.repetition import loop_start

TEMPERATURES = (0.0, 0.8)
HELD_OUT = 0.1
Say = Callable[[str], None]
Prompts = Mapping[str, Sequence[str]]

_TOGETHER = 64
"""Samples of one class that are written, and kept, at once."""


def lessons(job: DraftJob, target: LanguageModel, say: Say) -> tuple[list[TaughtTrace], list[TaughtTrace]]:
    """Taught traces to learn from and to measure on, of different prompts.

    A corpus gives its `valid` split for measuring; elsewhere every tenth prompt is held out.

    Raises:
        CorpusError: no prompts, none of a class, or none that is short enough.
    """
    train, held_out = _splits(job)
    classes = job.classes or tuple(train)
    home, away = _only(job, train, classes), {c: texts for c, texts in train.items() if c not in classes}
    teacher = _Teacher(job, target, say)
    learnt = teacher.write(home, job.per_class) + teacher.read(home, job.answers)
    if job.others and away:
        learnt += teacher.write(away, job.elsewhere(job.per_class, len(away)))
        learnt += teacher.read(away, job.elsewhere(job.answers, len(away)))
    few = max(2, round(HELD_OUT * job.per_class))
    return [_without_loop(one) for one in learnt], teacher.write(_only(job, held_out, classes), few)


def _splits(job: DraftJob) -> tuple[Prompts, Prompts]:
    both = load_prompts(job.prompts, "train")
    if list(job.prompts.glob("*/valid.jsonl*")):
        return both, load_prompts(job.prompts, "valid")
    every = round(1 / HELD_OUT)
    train = {c: [p for i, p in enumerate(ps) if i % every] for c, ps in both.items()}
    return train, {c: ps[::every] for c, ps in both.items()}


def _only(job: DraftJob, prompts: Prompts, classes: Sequence[str]) -> Prompts:
    missing = [c for c in classes if c not in prompts]
    if missing:
        raise CorpusError(f"{job.prompts}: no prompts of class {', '.join(missing)}; there are {', '.join(prompts)}")
    return {c: prompts[c] for c in classes}


def _without_loop(one: TaughtTrace) -> TaughtTrace:
    """A loop is learnt from its first turns: the rest would be most of what a draft sees of greedy text."""
    trace, end = one.trace, loop_start(one.trace.completion_ids)
    cut = Trace(trace.category, trace.temperature, trace.prompt_ids, trace.completion_ids[:end])
    return TaughtTrace(cut, one.hidden[:end])


class _Teacher:
    """The target, writing and reading in the fastest dtype that it has."""

    def __init__(self, job: DraftJob, target: LanguageModel, say: Say) -> None:
        self._job, self._target, self._say = job, target, say
        fast = fast_bfloat16(job.device)
        self._fast = load_language_model(job.target, dtype=torch.bfloat16, device=job.device) if fast else target

    def write(self, prompts: Prompts, per_class: int) -> list[TaughtTrace]:
        """Have it continue up to `per_class` prompts of each class, each at one of the temperatures."""
        if not per_class:
            return []
        longest = self._job.longest_prompt(self._target)
        drawn = draw_samples(
            self._target, prompts, per_class, TEMPERATURES, max_prompt_tokens=longest, seed=self._job.seed
        )
        if not drawn:
            raise CorpusError(f"{self._job.prompts}: no prompt fits into {longest} tokens")
        of_class = {c: [sample for category, sample in drawn if category == c] for c in prompts}
        chunks = (
            (category, samples[start : start + _TOGETHER])
            for category, samples in of_class.items()
            for start in range(0, len(samples), _TOGETHER)
        )
        return [one for category, chunk in chunks for one in self._kept(category, chunk)]

    def read(self, prompts: Prompts, per_class: int) -> list[TaughtTrace]:
        """Have it read answers that stand in the data: cheap and plenty.

        What the target itself would write is what counts in the end (DistillSpec, arXiv 2310.08461, section 5), so
        they stand beside its own completions, never alone.
        """
        if not per_class:
            return []
        self._say("the target reads")
        records = load_answers(self._job.prompts, prompts, per_class, self._job.seed)
        return teach(self._fast, list(self._answers(records)))

    def _answers(self, records: Mapping[str, Sequence[Record]]) -> Iterator[Trace]:
        """Records as traces, without those whose prompt is too long or whose completion is nothing."""
        target, job = self._target, self._job
        end = sorted(target.eos_ids)[:1]
        for record in (record for of_class in records.values() for record in of_class):
            prompt = target.prompt_ids(record.prompt)
            completion = target.tokenizer(record.completion, add_special_tokens=False).input_ids
            if completion and len(prompt) <= job.longest_prompt(target):
                yield Trace(record.category, 1.0, tuple(prompt), tuple((completion + end)[: job.max_new_tokens]))

    def _kept(self, category: str, samples: Sequence[Sample]) -> list[TaughtTrace]:
        if self._job.cache is None:
            return self._written(category, samples)
        file = self._job.cache / f"{self._digest(category, samples)}.pt"
        if file.exists():
            return load_taught(file)
        taught = self._written(category, samples)
        file.parent.mkdir(parents=True, exist_ok=True)
        save_taught(file, taught)
        return taught

    def _written(self, category: str, samples: Sequence[Sample]) -> list[TaughtTrace]:
        self._say(f"the target writes, {category}")
        settings = GenerationSettings(max_new_tokens=self._job.max_new_tokens, seed=self._job.seed)
        completions = generate(self._fast, samples, settings)
        return teach(
            self._fast,
            [
                Trace(category, sample.temperature, sample.prompt_ids, completion)
                for sample, completion in zip(samples, completions, strict=True)
                if completion
            ],
        )

    def _digest(self, category: str, samples: Sequence[Sample]) -> str:
        weights = "".join(
            f"{p.name}{p.stat().st_size}{p.stat().st_mtime_ns}" for p in self._job.target.glob("*.safetensors")
        )
        asked = f"{weights}{self._job.max_new_tokens}{self._job.seed}{category}{samples}"
        return hashlib.sha256(asked.encode()).hexdigest()[:16]
