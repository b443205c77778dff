"""The target's completions with what every draft would do along them: what a replay needs, scored once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from specsched.modelkit.evaluate import path_scores
from specsched.modelkit.generation import GenerationSettings, Sample, generate
from specsched.modelkit.language_model import LanguageModel
from specsched.modelkit.played import PlayedScores, Player
from specsched.modelkit.traces import TaughtTrace, Trace, batches_by_length, hidden_of, teach

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ModelScores:
    """A draft model along one completion. Its law at a place is the same in whatever round the place is met."""

    ratios: Array
    """w = min(1, q(x) / p(x)): probability that the committed token was the draft's, [L]."""
    overlaps: Array
    """β = Σ min(p, q), [L]."""


Scores = ModelScores | PlayedScores


@dataclass(frozen=True, slots=True)
class ScoredPath:
    """One completion, and every draft along it."""

    trace: Trace
    drafts: Mapping[str, Scores]


@torch.inference_mode()
def score_paths(
    target: LanguageModel,
    drafts: Mapping[str, LanguageModel | Player],
    samples: Sequence[tuple[str, Sample]],
    settings: GenerationSettings,
    max_gamma: int,
) -> list[ScoredPath]:
    """Let the target write once per sample; hold each draft against what it wrote.

    A model is teacher-forced once: its law at a place is the same in whatever round the place is met. A player is asked
    at every place.
    """
    completions = generate(target, [sample for _, sample in samples], settings)
    traces = [
        Trace(category, sample.temperature, sample.prompt_ids, completion)
        for (category, sample), completion in zip(samples, completions, strict=True)
        if completion
    ]
    taught = teach(target, traces, hidden_dtype=torch.float32)
    longest, seed = settings.max_new_tokens, settings.seed
    scored = {
        name: draft.play(target, taught, max_gamma, longest, seed)
        if isinstance(draft, Player)
        else _of(target, draft, taught)
        for name, draft in drafts.items()
    }
    return [ScoredPath(trace, {name: of[i] for name, of in scored.items()}) for i, trace in enumerate(traces)]


def _of(target: LanguageModel, draft: LanguageModel, taught: Sequence[TaughtTrace]) -> Sequence[Scores]:
    found: dict[int, Scores] = {}
    for batch in batches_by_length([one.trace for one in taught], tokens=8_192):
        hidden = hidden_of(draft, [taught[i].trace for i in batch])
        for row, index in enumerate(batch):
            logits = draft.logits(hidden[row, taught[index].trace.predicted])
            found[index] = ModelScores(*path_scores(target, logits, taught[index]))
    return [found[index] for index in range(len(taught))]
