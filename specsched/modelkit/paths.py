"""The target's completions with what every draft would do along them: what a replay needs, scored once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from specsched.engine.proposers.suffix_index import SuffixIndex
from specsched.modelkit.evaluate import Drafts, path_scores
from specsched.modelkit.generation import GenerationSettings, Sample, generate
from specsched.modelkit.language_model import LanguageModel
from specsched.modelkit.traces import TaughtTrace, Trace, batches_by_length, hidden_of, teach
from specsched.modelkit.windows import agreeing

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ModelScores:
    """A draft model along one completion. Its law at a place is the same in whatever round the place is met."""

    ratios: Array
    """w = min(1, q(x) / p(x)): probability that the committed token was the draft's, [L]."""
    overlaps: Array
    """β = Σ min(p, q), [L]."""


@dataclass(frozen=True, slots=True)
class LookupScores:
    """The n-gram proposer along one completion. What it proposes depends on where its round begins."""

    offered: NDArray[np.bool_]
    """Whether it has anything to propose, [L]."""
    accepted: NDArray[np.int64]
    """Proposed tokens that agree with the completion, [L]."""
    overlaps: Array
    """p of the proposed token, by place and position, up to the first that disagrees; 0 beyond, [L, J]."""


Scores = ModelScores | LookupScores


@dataclass(frozen=True, slots=True)
class ScoredPath:
    """One completion, and every draft along it."""

    trace: Trace
    drafts: Mapping[str, Scores]


@torch.inference_mode()
def score_paths(
    target: LanguageModel,
    drafts: Drafts,
    samples: Sequence[tuple[str, Sample]],
    settings: GenerationSettings,
    max_gamma: int,
) -> list[ScoredPath]:
    """Let the target write once per sample; teacher-force each draft once over what it wrote."""
    completions = generate(target, [sample for _, sample in samples], settings)
    traces = [
        Trace(category, sample.temperature, sample.prompt_ids, completion)
        for (category, sample), completion in zip(samples, completions, strict=True)
        if completion
    ]
    taught = teach(target, traces, hidden_dtype=torch.float32)
    scored = {name: _of(target, draft, taught, max_gamma) for name, draft in drafts.items()}
    return [ScoredPath(trace, {name: of[i] for name, of in scored.items()}) for i, trace in enumerate(traces)]


def _of(
    target: LanguageModel, draft: LanguageModel | None, taught: Sequence[TaughtTrace], max_gamma: int
) -> Sequence[Scores]:
    if draft is None:
        return [_lookup(target, one, max_gamma) for one in taught]
    found: dict[int, Scores] = {}
    for batch in batches_by_length([one.trace for one in taught], tokens=8_192):
        hidden = hidden_of(draft, [taught[i].trace for i in batch])
        for row, index in enumerate(batch):
            logits = draft.logits(hidden[row, taught[index].trace.predicted])
            found[index] = ModelScores(*path_scores(target, logits, taught[index]))
    return [found[index] for index in range(len(taught))]


def _lookup(target: LanguageModel, one: TaughtTrace, max_gamma: int) -> LookupScores:
    law = _law(target, one)  # [L, V]
    completion, index, text = one.trace.completion_ids, SuffixIndex(), list(one.trace.prompt_ids)
    size = len(completion)
    offered, accepted = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.int64)
    overlaps = np.zeros((size, max_gamma))
    for place, token in enumerate(completion):
        index.extend(text)
        proposal = index.lookup(text, max_gamma)
        offered[place], accepted[place] = bool(proposal), agreeing(proposal, completion[place:])
        judged = min(accepted[place] + 1, len(proposal), size - place)
        overlaps[place, :judged] = law[range(place, place + judged), proposal[:judged]]
        text.append(token)
    return LookupScores(offered, accepted, overlaps)


def _law(target: LanguageModel, one: TaughtTrace) -> Array:
    logits = target.logits(one.hidden.to(target.network.device, target.network.dtype))
    temperature = one.trace.temperature
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).double().cpu().numpy()
    return torch.softmax(logits / temperature, -1).double().cpu().numpy()
