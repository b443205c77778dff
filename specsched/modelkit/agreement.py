"""Acceptance by teacher forcing: draft and target side by side over the target's own completions.

On a greedy trace a position counts when the arg max agree; on a sampled one it counts with its overlap
β = Σ_x min(p, q), both laws at the trace's temperature (arXiv 2211.17192, eq. 3).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from specsched.modelkit.language_model import LanguageModel
from specsched.modelkit.traces import TaughtTrace, batches_by_length, hidden_of


def overlap(target: Tensor, draft: Tensor, temperature: float) -> Tensor:
    """Acceptance per position, [N], from logits [N, V]."""
    if temperature == 0:
        return (target.argmax(-1) == draft.argmax(-1)).float()
    p, q = torch.softmax(target / temperature, -1), torch.softmax(draft / temperature, -1)
    return torch.minimum(p, q).sum(-1)


@torch.inference_mode()
def agreements(
    target: LanguageModel, draft: LanguageModel, taught: Sequence[TaughtTrace], tokens: int = 8_192
) -> Iterator[tuple[int, Tensor]]:
    """(index of the trace, acceptance per position) for every trace, in no order."""
    dtype = target.network.dtype
    for batch in batches_by_length([one.trace for one in taught], tokens):
        hidden = hidden_of(draft, [taught[i].trace for i in batch])
        for row, index in enumerate(batch):
            one = taught[index]
            p = target.logits(one.hidden.to(hidden.device, dtype))
            q = draft.logits(hidden[row, one.trace.predicted])
            yield index, overlap(p, q, one.trace.temperature).cpu()


def mean_acceptance(
    target: LanguageModel, draft: LanguageModel, taught: Sequence[TaughtTrace]
) -> Mapping[tuple[str, float], float]:
    """(class, temperature) → mean acceptance over positions."""
    sums: dict[tuple[str, float], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for index, accepted in agreements(target, draft, taught):
        cell = sums[taught[index].trace.category, taught[index].trace.temperature]
        cell[0] += float(accepted.sum())
        cell[1] += len(accepted)
    return {key: total / max(1.0, count) for key, (total, count) in sorted(sums.items())}
