"""Which drafted tokens stand, and which token comes after them.

*accepted*: a drafted token that stands. *recovered*: the token drawn from the residual where one was rejected.
*bonus*: the token drawn from the target after all were accepted. A round commits accepted + 1 tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from specsched.engine.draw import coupled_choice, draw
from specsched.engine.law import shape_logits
from specsched.engine.noise import Purpose, uniform
from specsched.engine.proposers.base import Draft
from specsched.engine.row import Row

_NO_MASS = 1e-12


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a round gives one row."""

    tokens: list[int]
    """Accepted tokens, then the recovered or the bonus token."""
    num_accepted: int
    overlaps: tuple[float, ...] = ()
    """β_j = Σ_x min(p, q), positions 1 … num_accepted + 1, where p and q are laws (rejection sampling)."""


def verify(logits: Sequence[Tensor], rows: Sequence[Row], drafts: Sequence[Draft]) -> list[Verdict]:
    """Judge every row's draft.

    Args:
        logits: The target's raw logits per row, [γ_i + 1, V].
        rows: The rows.
        drafts: Their drafts, possibly empty.
    """
    counts = [len(draft.tokens) + 1 for draft in drafts]
    spans = [row.span(draft.tokens, count) for row, draft, count in zip(rows, drafts, counts, strict=True)]
    shaped = shape_logits(torch.cat(list(logits)), spans)  # packed, [Σ(γ_i + 1), V]
    if all(row.job.sampling.greedy for row in rows):
        choices = shaped.argmax(-1).split(counts)
        return [_agree(draft, choice.tolist()) for draft, choice in zip(drafts, choices, strict=True)]
    parts = shaped.split(counts)
    return [_judge(part, row, draft) for part, row, draft in zip(parts, rows, drafts, strict=True)]


def _judge(shaped: Tensor, row: Row, draft: Draft) -> Verdict:
    """Judge one row's draft by its mode. `shaped` is [gamma + 1, V]."""
    job, position = row.job, row.position
    if job.sampling.coupled:
        chosen = [coupled_choice(s, job.sampling, job.noise_seed, position + j) for j, s in enumerate(shaped)]
        return _agree(draft, chosen)
    p = shaped.softmax(-1, dtype=torch.float32)  # [gamma + 1, V]
    return _reject(p, draft, job.noise_seed, position)


def _agree(draft: Draft, chosen: list[int]) -> Verdict:
    """Drafter-invariant coupling: accept while the draft names the target's own choice (arXiv 2408.07978)."""
    accepted = 0
    while accepted < len(draft.tokens) and draft.tokens[accepted] == chosen[accepted]:
        accepted += 1
    return Verdict(chosen[: accepted + 1], accepted)


def _reject(p: Tensor, draft: Draft, seed: int, position: int) -> Verdict:
    """Speculative sampling (Leviathan et al. 2023, arXiv 2211.17192, Algorithm 1).

    Args:
        p: Target's law, [gamma + 1, V].
        draft: Tokens x ~ q with their laws q, [gamma, V].
        seed: Of the request.
        position: Output position of the first drafted token.
    """
    gamma = len(draft.tokens)
    q = _law_of(draft, p)  # [gamma, V]
    overlaps = torch.minimum(p[:gamma], q).sum(-1).tolist() if gamma else []
    accepted = 0
    for j, token in enumerate(draft.tokens):
        if not uniform(seed, position + j, Purpose.ACCEPT) * float(q[j, token]) < float(p[j, token]):
            break  # rejected: u ≥ p(x)/q(x)
        accepted += 1
    weights = p[accepted] if accepted == gamma else _residual(p[accepted], q[accepted])
    last = draw(weights, uniform(seed, position + accepted, Purpose.TARGET))
    return Verdict([*draft.tokens[:accepted], last], accepted, tuple(overlaps[: accepted + 1]))


def _law_of(draft: Draft, p: Tensor) -> Tensor:
    """Return q, [gamma, V]: the law that the draft was drawn from, one-hot where it was certain."""
    if draft.law is not None:
        return draft.law
    q = torch.zeros_like(p[:-1])
    q[torch.arange(len(draft.tokens)), torch.tensor(draft.tokens, dtype=torch.long)] = 1.0
    return q


def _residual(p: Tensor, q: Tensor) -> Tensor:
    """Return norm((p − q)₊) up to its factor; p itself where the two agree and nothing but rounding is left."""
    rest = (p - q).clamp_(min=0.0)
    return rest if float(rest.sum()) > _NO_MASS else p
