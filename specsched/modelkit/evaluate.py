"""Evaluate a pool: the target writes, every draft is held against it, and rounds are played on what was written."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specsched.modelkit.generation import GenerationSettings, Sample, generate
from specsched.modelkit.goodput import Goodputs, RoundCosts, goodputs
from specsched.modelkit.language_model import LanguageModel
from specsched.modelkit.traces import TaughtTrace, Trace, batches_by_length, hidden_of, teach
from specsched.modelkit.windows import Offers, hazards, model_offers, ngram_offers
from specsched.text.repetition import copied_share, is_looping, repeated_share

NGRAM = "ngram"

Drafts = Mapping[str, LanguageModel | None]
"""Draft id → model; None is the n-gram proposer."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Cell:
    """Paths of one class at one temperature, and what every draft offers on them."""

    traces: Sequence[Trace]
    offers: Mapping[str, Sequence[Offers]]

    @property
    def repeated(self) -> float:
        """Mean share of completion 4-grams repeated from the completion itself."""
        return float(np.mean([repeated_share(trace.completion_ids) for trace in self.traces]))

    @property
    def copied(self) -> float:
        """Mean share of completion 4-grams that stand in the prompt."""
        return float(np.mean([copied_share(trace.prompt_ids, trace.completion_ids) for trace in self.traces]))

    @property
    def looping(self) -> float:
        """Share of completions that loop."""
        return float(np.mean([is_looping(trace.completion_ids) for trace in self.traces]))

    def without_loops(self) -> "Cell":
        """The same without looping completions; as it is where all of them loop."""
        kept = [i for i, trace in enumerate(self.traces) if not is_looping(trace.completion_ids)]
        if not kept:
            return self
        offers = {draft: [paths[i] for i in kept] for draft, paths in self.offers.items()}
        return Cell([self.traces[i] for i in kept], offers)

    def acceptance(self, draft: str) -> float:
        """Mean conditional acceptance over all positions; a position without a proposal counts 0."""
        return float(np.concatenate([path.acceptance for path in self.offers[draft]]).mean())

    def hazards(self, draft: str) -> list[float | None]:
        """Acceptance per position of a round."""
        return hazards(self.offers[draft])


Key = tuple[str, float]
"""(class, temperature)."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that was measured."""

    cells: Mapping[Key, Cell]
    costs: RoundCosts

    def without_loops(self) -> "Evaluation":
        """The same with looping completions left out."""
        return Evaluation({key: cell.without_loops() for key, cell in self.cells.items()}, self.costs)

    @property
    def drafts(self) -> list[str]:
        """Draft ids, in the pool's order."""
        return list(next(iter(self.cells.values())).offers)

    @property
    def classes(self) -> list[str]:
        """Prompt classes."""
        return sorted({category for category, _ in self.cells})

    @property
    def temperatures(self) -> list[float]:
        """Temperatures, rising."""
        return sorted({temperature for _, temperature in self.cells})

    def best(self, key: Key) -> tuple[str, float]:
        """The draft that is accepted most in a cell, and how much."""
        scores = {draft: self.cells[key].acceptance(draft) for draft in self.drafts}
        winner = max(scores, key=scores.__getitem__)
        return winner, scores[winner]

    def goodputs(self, temperature: float) -> Goodputs:
        """Class → arm → predicted tokens per second."""
        return goodputs({c: self.cells[c, t].offers for c, t in self.cells if t == temperature}, self.costs)


def evaluate(
    target: LanguageModel,
    drafts: Drafts,
    samples: Sequence[tuple[str, Sample]],
    costs: RoundCosts,
    settings: GenerationSettings,
    say: Say = lambda _: None,
) -> Evaluation:
    """Generate with the target, score every draft along the way it went, and sort it into cells."""
    say("target writes")
    completions = generate(target, [sample for _, sample in samples], settings)
    traces = [
        Trace(category, sample.temperature, sample.prompt_ids, completion)
        for (category, sample), completion in zip(samples, completions, strict=True)
        if completion
    ]
    say("target reads")
    taught = teach(target, traces, hidden_dtype=torch.float32)
    offers = {}
    for name, draft in drafts.items():
        say(f"{name} reads")
        offers[name] = offers_of(target, draft, taught, settings.seed)
    return Evaluation(_cells(traces, offers), costs)


@torch.inference_mode()
def offers_of(
    target: LanguageModel, draft: LanguageModel | None, taught: Sequence[TaughtTrace], seed: int
) -> list[Offers]:
    """What one draft offers on every trace."""
    if draft is None:
        return [ngram_offers(one.trace.prompt_ids, one.trace.completion_ids) for one in taught]
    found: list[Offers | None] = [None] * len(taught)
    for batch in batches_by_length([one.trace for one in taught], tokens=8_192):
        hidden = hidden_of(draft, [taught[i].trace for i in batch])
        for row, index in enumerate(batch):
            logits = draft.logits(hidden[row, taught[index].trace.predicted])
            ratios, overlaps = path_scores(target, logits, taught[index])
            found[index] = model_offers(ratios, overlaps, np.random.default_rng((seed, index)))
    return [one for one in found if one is not None]


def path_scores(
    target: LanguageModel, draft: Tensor, one: TaughtTrace
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ratios w = min(1, q(x) / p(x)) and overlaps β = Σ min(p, q) along the completion, both [L]; draft is [L, V]."""
    theirs = target.logits(one.hidden.to(draft.device, target.network.dtype))
    tokens = torch.tensor(one.trace.completion_ids, device=draft.device)[:, None]
    if one.trace.temperature == 0:
        hits = (draft.argmax(-1, keepdim=True) == tokens)[:, 0].double().cpu().numpy()
        return hits, hits
    law = partial(torch.softmax, dim=-1)
    p, q = law(theirs / one.trace.temperature), law(draft / one.trace.temperature)
    ratios = (q.gather(1, tokens) / p.gather(1, tokens).clamp_min(1e-30)).clamp_max(1.0)[:, 0]
    return ratios.double().cpu().numpy(), torch.minimum(p, q).sum(-1).double().cpu().numpy()


def _cells(traces: Sequence[Trace], offers: Mapping[str, Sequence[Offers]]) -> dict[Key, Cell]:
    members: dict[Key, list[int]] = defaultdict(list)
    for index, trace in enumerate(traces):
        members[trace.category, trace.temperature].append(index)
    return {
        key: Cell([traces[i] for i in chosen], {name: [paths[i] for i in chosen] for name, paths in offers.items()})
        for key, chosen in sorted(members.items())
    }
