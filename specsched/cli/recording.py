"""`specsched replay record`: the kit scores paths, the bench keeps them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from specsched.bench.replay.recording import Folder, Head, RecordedPath, windows
from specsched.classify.base import Classifier
from specsched.classify.fake import FixedClassifier
from specsched.classify.linear import LinearClassifier
from specsched.engine.int8 import int8_is_offered
from specsched.engine.load import load_engine
from specsched.engine.settings import EngineSettings
from specsched.modelkit.generation import GenerationSettings, Sample
from specsched.modelkit.language_model import LanguageModel, load_language_model
from specsched.modelkit.measure import PinnedController
from specsched.modelkit.paths import ScoredPath, Scores, score_paths
from specsched.modelkit.played import PlayedScores, Player
from specsched.modelkit.prompts import draw_prompts, load_prompts
from specsched.pool.manifest import ModelSpec, Pool
from specsched.pool.weights import verify_weights
from specsched.records import CostGrid
from specsched.text.repetition import repeated_share

_PART_PROMPTS = 8
_ROWS = 16
_PROFILED_ROWS = 8

Say = Callable[[str, int, int], None]
"""Takes what is done next, and how many parts of how many are done."""


@dataclass(frozen=True, slots=True)
class RecordJob:
    """What to record."""

    prompts: Path
    per_class: int
    max_tokens: int
    max_gamma: int
    temperatures: tuple[float, ...]
    seed: int
    profile_seconds: float


def record_pool(pool: Pool, job: RecordJob, folder: Folder, say: Say) -> None:
    """Record what is missing.

    Raises:
        SetupError: a model or prompts that cannot be used; a recording of another kind stands there.
    """
    say("loading", 0, 1)
    named = pool.classifier
    classifier = LinearClassifier.load(named.path, named.sha256) if named else FixedClassifier()
    specs = _recorded_drafts(pool)
    assert pool.target.path is not None, "targets have a path"
    target = load_language_model(pool.target.path)
    longest = target.context_tokens - job.max_tokens
    drawn = draw_prompts(
        target, load_prompts(job.prompts, "valid"), job.per_class, max_prompt_tokens=longest, seed=job.seed
    )
    parts = [list(range(i, min(i + _PART_PROMPTS, len(drawn)))) for i in range(0, len(drawn), _PART_PROMPTS)]
    ids = tuple(spec.id for spec in specs)
    head = Head(
        ids,
        recorded_versions(pool),
        classifier.classes,
        job.max_tokens,
        job.max_gamma,
        job.per_class,
        job.temperatures,
        job.seed,
        str(job.prompts),
        len(parts),
    )
    folder.begin(head)
    if not folder.has_costs():
        say("profiling", 0, len(parts))
        folder.write_costs(_profiled(pool, job), _profiled(_in_int8(pool), job) if int8_is_offered() else None)
    drafts = {spec.id: _draft(spec, target.vocabulary) for spec in specs}
    for number, prompts in enumerate(parts):
        say("recording", number, len(parts))
        if not folder.has(number):
            chosen = [(prompt, *drawn[prompt]) for prompt in prompts]
            folder.write(number, list(_part(target, drafts, classifier, chosen, job, number)))
    say("recorded", len(parts), len(parts))


def recorded_versions(pool: Pool) -> tuple[str, ...]:
    """Hashes of the weights: the target's, then each recorded draft's.

    Raises:
        PoolError: a model that cannot be used.
    """
    specs = (pool.target, *_recorded_drafts(pool))
    return tuple(verify_weights(spec).sha256 + spec.manner if spec.path else "" for spec in specs)


def _recorded_drafts(pool: Pool) -> list[ModelSpec]:
    return [spec for spec in pool.drafts if spec.kind != "none"]


def _profiled(pool: Pool, job: RecordJob) -> CostGrid:
    settings = EngineSettings(max_rows=_PROFILED_ROWS, profile_seconds=job.profile_seconds)
    return load_engine(pool, settings, lambda _costs: PinnedController()).describe().costs


def _in_int8(pool: Pool) -> Pool:
    """Its target in INT8: drafts are too small to gain."""
    return replace(pool, target=replace(pool.target, dtype="float32", quantization="int8"))


def _part(
    target: LanguageModel,
    drafts: Mapping[str, LanguageModel | Player],
    classifier: Classifier,
    prompts: Sequence[tuple[int, str, str, tuple[int, ...]]],
    job: RecordJob,
    number: int,
) -> Iterator[RecordedPath]:
    """One group of prompts, (number, class, text, ids) each, at every temperature."""
    settings = GenerationSettings(job.max_tokens, _ROWS, seed=job.seed * 100_003 + number)
    wanted = [(prompt, t) for prompt in prompts for t in job.temperatures]
    samples = [(category, Sample(ids, t)) for (_, category, _, ids), t in wanted]
    for (prompt, _), scored in zip(wanted, score_paths(target, drafts, samples, settings, job.max_gamma), strict=True):
        yield _recorded(prompt[0], prompt[2], classifier, scored, job.max_gamma)


def _draft(spec: ModelSpec, vocabulary: int) -> LanguageModel | Player:
    """A model that drafts all that it is asked for is teacher-forced; the others are played."""
    return load_language_model(spec.path) if spec.path and spec.single else Player(spec, vocabulary)


def _recorded(prompt: int, text: str, classifier: Classifier, scored: ScoredPath, max_gamma: int) -> RecordedPath:
    trace = scored.trace
    of_drafts = [_places(one, max_gamma) for one in scored.drafts.values()]
    return RecordedPath(
        prompt=prompt,
        prompt_class=trace.category,
        temperature=trace.temperature,
        prompt_tokens=len(trace.prompt_ids),
        probabilities=classifier.classify(text),
        repeated=repeated_share(trace.completion_ids),
        hazards=np.stack([one.hazards for one in of_drafts]),
        offered=np.stack([one.offered for one in of_drafts]),
        steps=np.stack([one.steps for one in of_drafts]),
        overlaps=np.stack([one.overlaps for one in of_drafts]),
    )


@dataclass(frozen=True, slots=True)
class _Places:
    """One draft, by place of a completion."""

    hazards: np.ndarray  # [L, J]
    offered: np.ndarray  # [L]
    steps: np.ndarray  # [L]
    overlaps: np.ndarray  # [L, J]


def _places(scores: Scores, max_gamma: int) -> _Places:
    if isinstance(scores, PlayedScores):
        stand = np.arange(max_gamma) < scores.accepted[:, None]
        return _Places(stand.astype(np.float64), scores.offered, scores.steps, scores.overlaps)
    always = np.full(len(scores.ratios), max_gamma)
    return _Places(windows(scores.ratios, max_gamma), always, always, windows(scores.overlaps, max_gamma))
