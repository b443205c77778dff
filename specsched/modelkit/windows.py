"""Speculative rounds over a path that is already known, exact in law (POLICY.md, "Evaluation").

The target's completion x is fixed. A draft model's token at position i is x_i with probability
w_i = min(1, q(x_i) / p(x_i)) given that x_i is what was committed; an n-gram proposal is accepted where it equals
the path. So the rounds of every γ can be played on one path without running a model again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specsched.engine.proposers.suffix_index import SuffixIndex

MAX_GAMMA = 8


@dataclass(frozen=True, slots=True)
class Offers:
    """What a proposer would do on one path, were a round to begin at each of its positions."""

    offered: NDArray[np.int64]  # [L] tokens proposed
    accepted: NDArray[np.int64]  # [L] how many of them, from the first on, are accepted
    acceptance: NDArray[np.float64]  # [L] probability that the first is

    def __len__(self) -> int:
        return len(self.offered)


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a played path."""

    offered: int
    accepted: int


def model_offers(ratios: NDArray[np.float64], overlaps: NDArray[np.float64], rng: np.random.Generator) -> Offers:
    """Offers of a draft model from w and β, both [L]. On a greedy path both are 0 or 1."""
    hits = rng.random(len(ratios)) < ratios
    runs = np.zeros(len(ratios) + 1, np.int64)
    for i in reversed(range(len(ratios))):
        runs[i] = runs[i + 1] + 1 if hits[i] else 0
    return Offers(np.full(len(ratios), MAX_GAMMA), np.minimum(runs[:-1], MAX_GAMMA), overlaps)


def ngram_offers(prompt: Sequence[int], completion: Sequence[int]) -> Offers:
    """Offers of the n-gram proposer."""
    index, text = SuffixIndex(), list(prompt)
    offered, accepted = [], []
    for position, token in enumerate(completion):
        index.extend(text)
        proposal = index.lookup(text, MAX_GAMMA)
        offered.append(len(proposal))
        accepted.append(agreeing(proposal, completion[position:]))
        text.append(token)
    hits = np.asarray(accepted)
    return Offers(np.asarray(offered), hits, (hits > 0).astype(np.float64))


def agreeing(proposal: Sequence[int], path: Sequence[int]) -> int:
    """Proposed tokens, from the first on, that the path has too."""
    pairs = zip(proposal, path, strict=False)
    return next((i for i, (ours, theirs) in enumerate(pairs) if ours != theirs), min(len(proposal), len(path)))


def play(offers: Offers, gamma: int) -> Iterator[Round]:
    """The rounds of one path at a fixed γ, as the engine plays them: never beyond the path's end."""
    position = 0
    while position < len(offers):
        offered = min(gamma, int(offers.offered[position]), len(offers) - position - 1)
        accepted = min(offered, int(offers.accepted[position]))
        yield Round(offered, accepted)
        position += accepted + 1


def hazards(paths: Sequence[Offers], gamma: int = MAX_GAMMA) -> list[float | None]:
    """P(position j accepted | positions before it accepted), j = 1 … γ; None where no round came so far."""
    reached, accepted = np.zeros(gamma), np.zeros(gamma)
    for path in paths:
        for one in play(path, gamma):
            accepted[: one.accepted] += 1
            reached[: min(one.accepted + 1, one.offered)] += 1
    return [float(a / r) if r else None for a, r in zip(accepted, reached, strict=True)]
