"""Which drafted tokens stand, and which token comes after them.

*accepted*: a drafted token that stands. *recovered*: the token drawn from the residual where one was rejected.
*bonus*: the token drawn from the target after all were accepted. A round commits accepted + 1 tokens.

Positions are packed: row i has γ_i + 1 of them, and all rows lie one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from specsched.engine.draw import coupled_choices, draw
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
    """Judge every row's draft: coupled rows by agreement, the others by rejection sampling.

    Args:
        logits: The target's raw logits per row, [γ_i + 1, V].
        rows: The rows.
        drafts: Their drafts, possibly empty.
    """
    verdicts: dict[int, Verdict] = {}
    coupled = [row.job.sampling.coupled for row in rows]
    for mode, judge in ((True, _agree), (False, _reject)):
        members = [i for i, is_coupled in enumerate(coupled) if is_coupled is mode]
        if members:
            of_mode = [rows[i] for i in members], [drafts[i] for i in members]
            shaped = _shaped([logits[i] for i in members], *of_mode)
            verdicts.update(zip(members, judge(shaped, *of_mode), strict=True))
    return [verdicts[i] for i in range(len(rows))]


def _shaped(logits: Sequence[Tensor], rows: Sequence[Row], drafts: Sequence[Draft]) -> Tensor:
    """Pack the rows and shape their laws, [Σ(γ_i + 1), V]."""
    spans = [row.span(draft.tokens, len(of_row)) for row, draft, of_row in zip(rows, drafts, logits, strict=True)]
    packed = logits[0] if len(logits) == 1 else torch.cat(list(logits))  # cat copies even a single one
    return shape_logits(packed, spans)


def _agree(shaped: Tensor, rows: Sequence[Row], drafts: Sequence[Draft]) -> list[Verdict]:
    """Drafter-invariant coupling: accept while the draft names the target's own choice (arXiv 2408.07978)."""
    spots = [row.spot(j) for row, draft in zip(rows, drafts, strict=True) for j in range(len(draft.tokens) + 1)]
    choices = iter(coupled_choices(shaped, spots))
    verdicts = []
    for draft in drafts:
        chosen = [next(choices) for _ in range(len(draft.tokens) + 1)]
        accepted = _agreed(draft.tokens, chosen)
        verdicts.append(Verdict(chosen[: accepted + 1], accepted))
    return verdicts


def _agreed(drafted: Sequence[int], chosen: Sequence[int]) -> int:
    return next((j for j, token in enumerate(drafted) if token != chosen[j]), len(drafted))


def _reject(shaped: Tensor, rows: Sequence[Row], drafts: Sequence[Draft]) -> list[Verdict]:
    """Speculative sampling (Leviathan et al. 2023, arXiv 2211.17192, Algorithm 1)."""
    p = shaped.softmax(-1, dtype=torch.float32)  # [N, V]
    q = _draft_laws(p, drafts)  # [N, V], 0 at the bonus positions
    firsts = [0, *accumulate(len(draft.tokens) + 1 for draft in drafts)][:-1]
    accepted = _accepted(p, q, rows, drafts, firsts)
    ends = torch.tensor([first + n for first, n in zip(firsts, accepted, strict=True)], device=p.device)
    units = [
        uniform(row.job.noise_seed, row.position + n, Purpose.TARGET) for row, n in zip(rows, accepted, strict=True)
    ]
    last = draw(residual(p[ends], q[ends]), units)
    overlaps = torch.minimum(p, q).sum(-1).tolist()
    return [
        Verdict([*draft.tokens[:n], token], n, tuple(overlaps[first : first + min(n + 1, len(draft.tokens))]))
        for draft, first, n, token in zip(drafts, firsts, accepted, last, strict=True)
    ]


def _draft_laws(p: Tensor, drafts: Sequence[Draft]) -> Tensor:
    """Pack the laws that the drafts were drawn from, one-hot where a token was certain."""
    q = torch.zeros_like(p)
    first = 0
    for draft in drafts:
        gamma = len(draft.tokens)
        if draft.law is not None:
            q[first : first + gamma] = draft.law
        elif gamma:
            q[range(first, first + gamma), draft.tokens] = 1.0
        first += gamma + 1
    return q


def _accepted(p: Tensor, q: Tensor, rows: Sequence[Row], drafts: Sequence[Draft], firsts: Sequence[int]) -> list[int]:
    """Count each row's accepted tokens: x stands with probability min(1, p(x)/q(x)), up to the first that does not."""
    where = [first + j for first, draft in zip(firsts, drafts, strict=True) for j in range(len(draft.tokens))]
    tokens = [token for draft in drafts for token in draft.tokens]
    chances = iter(zip(p[where, tokens].tolist(), q[where, tokens].tolist(), strict=True))
    counts = []
    for row, draft in zip(rows, drafts, strict=True):
        seed, position = row.job.noise_seed, row.position
        stands = [
            uniform(seed, position + j, Purpose.ACCEPT) * q_x < p_x
            for j, (p_x, q_x) in enumerate(next(chances) for _ in draft.tokens)
        ]
        counts.append(next((j for j, stand in enumerate(stands) if not stand), len(stands)))
    return counts


def residual(p: Tensor, q: Tensor) -> Tensor:
    """Return norm((p − q)₊) up to its factor, [N, V].

    q = 0 at a bonus position, which leaves p. Where p and q agree nothing but rounding is left: p itself then.
    """
    rest = (p - q).clamp_(min=0.0)
    return torch.where(rest.sum(-1, keepdim=True) > _NO_MASS, rest, p)
