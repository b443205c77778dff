"""Which drafted tokens stand, and which token comes after them.

*accepted*: a drafted token that stands. *recovered*: the token drawn from the residual where one was rejected.
*bonus*: the token drawn from the target after all were accepted. A round commits accepted + 1 tokens.

Positions are packed: row i has γ_i + 1 of them, and all rows lie one after the other.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, islice, pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from specsched.engine.draw import coupled_choices, draw
from specsched.engine.law import shape_logits
from specsched.engine.noise import Purpose, uniform
from specsched.engine.peaks import Peaks
from specsched.engine.proposers.base import Draft
from specsched.engine.row import Row

_NO_MASS = 1e-12


class Verdict(NamedTuple):
    """What a round gives one row."""

    tokens: list[int]
    """Accepted tokens, then the recovered or the bonus token."""
    num_accepted: int
    overlaps: tuple[float, ...] = ()
    """β_j = Σ_x min(p, q), positions 1 … num_accepted + 1, where p and q are laws (rejection sampling)."""
    sound: bool = True
    """Whether the target's logits are numbers; all else means nothing where they are not."""
    chances: tuple[float, ...] = ()
    """p of each token, where p is a law: what hindsight has to know of it."""


def verify(logits: Tensor, rows: Sequence[Row], drafts: Sequence[Draft]) -> list[Verdict]:
    """Judge every row's draft: coupled rows by agreement, the others by rejection sampling.

    Args:
        logits: The target's raw logits, [B, W, V]; of row i the first γ_i + 1 positions count.
        rows: The rows.
        drafts: Their drafts, possibly empty.
    """
    peaks, counts = Peaks(logits), [len(draft.tokens) + 1 for draft in drafts]
    verdicts = [_agreement(draft, peaks.tokens(i, counts[i])) for i, draft in enumerate(drafts)]
    for judge, members in _judged(rows).items():
        judged = judge(logits[members], [rows[i] for i in members], [drafts[i] for i in members])
        for i, verdict in zip(members, judged, strict=True):
            verdicts[i] = verdict
    return [
        verdict if peaks.sound(i, counts[i]) else verdict._replace(sound=False) for i, verdict in enumerate(verdicts)
    ]


_Judge = Callable[[Tensor, Sequence[Row], Sequence[Draft]], list[Verdict]]


def _judged(rows: Sequence[Row]) -> dict[_Judge, list[int]]:
    """Say who judges the rows that do not simply take the best token of raw logits."""
    members: dict[_Judge, list[int]] = {}
    for i, row in enumerate(rows):
        if not row.plain:
            members.setdefault(_agree if row.job.sampling.coupled else _reject, []).append(i)
    return members


def _agree(logits: Tensor, rows: Sequence[Row], drafts: Sequence[Draft]) -> list[Verdict]:
    """Drafter-invariant coupling: accept while the draft names the target's own choice (arXiv 2408.07978)."""
    spots = [row.spot(j) for row, draft in zip(rows, drafts, strict=True) for j in range(len(draft.tokens) + 1)]
    choices = iter(coupled_choices(_shaped(logits, rows, drafts), spots))
    return [_agreement(draft, list(islice(choices, len(draft.tokens) + 1))) for draft in drafts]


def _agreement(draft: Draft, chosen: Sequence[int]) -> Verdict:
    """Accept up to the first token that was not chosen; there the chosen one comes."""
    drafted, accepted = draft.tokens, 0
    while accepted < len(drafted) and drafted[accepted] == chosen[accepted]:
        accepted += 1
    return Verdict([*chosen[: accepted + 1]], accepted)


def _shaped(logits: Tensor, rows: Sequence[Row], drafts: Sequence[Draft]) -> Tensor:
    """Pack the rows' own positions and shape their laws, [Σ(γ_i + 1), V]."""
    counts = [len(draft.tokens) + 1 for draft in drafts]
    spans = [row.span(draft.tokens, count) for row, draft, count in zip(rows, drafts, counts, strict=True)]
    own = [of_row[:count] for of_row, count in zip(logits, counts, strict=True)]
    return shape_logits(own[0] if len(own) == 1 else torch.cat(own), spans)  # cat copies even a single one


def _reject(logits: Tensor, rows: Sequence[Row], drafts: Sequence[Draft]) -> list[Verdict]:
    """Speculative sampling (Leviathan et al. 2023, arXiv 2211.17192, Algorithm 1)."""
    p = _target_laws(logits, rows, drafts)  # [Σγ_i + B, V]: at the drafted positions, then the bonus ones
    q = _draft_laws(p, drafts)  # [Σγ_i, V]
    claims = _claims(p, q, drafts)
    begins = [*accumulate((len(draft.tokens) for draft in drafts), initial=0)]
    accepted = [_standing(row, claims[begin:end]) for row, (begin, end) in zip(rows, pairwise(begins), strict=True)]
    cases = [*zip(begins, accepted, drafts, strict=False)]
    ends = [begin + n if n < len(draft.tokens) else len(q) + i for i, (begin, n, draft) in enumerate(cases)]
    last = p[ends]
    rejected = [i for i, (_, n, draft) in enumerate(cases) if n < len(draft.tokens)]
    if rejected:
        last[rejected] = residual(last[rejected], q[[ends[i] for i in rejected]])
    units = [
        uniform(row.job.noise_seed, row.position + n, Purpose.TARGET) for row, n in zip(rows, accepted, strict=True)
    ]
    drawn = draw(last, units)
    overlaps = torch.minimum(p[: len(q)], q).sum(-1).tolist()
    return [
        Verdict(
            [*draft.tokens[:n], token],
            n,
            overlaps=tuple(overlaps[begin : begin + min(n + 1, len(draft.tokens))]),
            chances=(*[p_x for p_x, _ in claims[begin : begin + n]], chance),
        )
        for token, chance, (begin, n, draft) in zip(drawn, p[ends, drawn].tolist(), cases, strict=True)
    ]


def _target_laws(logits: Tensor, rows: Sequence[Row], drafts: Sequence[Draft]) -> Tensor:
    """Pack and shape the rows' laws: at what is drafted, as the drafts' own lie, and where a bonus token would come."""
    gammas = [len(draft.tokens) for draft in drafts]
    of_drafted = [i for i, gamma in enumerate(gammas) if gamma]
    spans = [rows[i].span(drafts[i].tokens[:-1], gammas[i]) for i in of_drafted]
    spans += [row.span(draft.tokens, 1) for row, draft in zip(rows, drafts, strict=True)]
    parts = [logits[i, : gammas[i]] for i in of_drafted]
    parts += [of_row[gamma : gamma + 1] for of_row, gamma in zip(logits, gammas, strict=True)]
    return shape_logits(torch.cat(parts), spans).softmax(-1, dtype=torch.float32)


def _draft_laws(p: Tensor, drafts: Sequence[Draft]) -> Tensor:
    """Pack the laws that the drafts were drawn from, one-hot where a token was certain."""
    laws = [_one_hot(p, draft.tokens) if draft.law is None else draft.law for draft in drafts if draft.tokens]
    return torch.cat(laws) if laws else p[:0]


def _one_hot(p: Tensor, tokens: Sequence[int]) -> Tensor:
    law = p.new_zeros(len(tokens), p.shape[1])
    law[range(len(tokens)), tokens] = 1.0
    return law


def _claims(p: Tensor, q: Tensor, drafts: Sequence[Draft]) -> list[tuple[float, float]]:
    """Return (p(x), q(x)) of every drafted token x, [Σγ_i]."""
    tokens = [token for draft in drafts for token in draft.tokens]
    if not tokens:
        return []
    index = torch.tensor(tokens, device=p.device)[:, None]
    return [*zip(*(law.gather(1, index)[:, 0].tolist() for law in (p[: len(q)], q)), strict=True)]


def _standing(row: Row, claims: Sequence[tuple[float, float]]) -> int:
    """Count accepted tokens: x stands with probability min(1, p(x)/q(x)), up to the first that does not."""
    seed, position = row.job.noise_seed, row.position
    for j, (p_x, q_x) in enumerate(claims):
        stands = uniform(seed, position + j, Purpose.ACCEPT) * q_x < p_x
        if not stands:
            return j
    return len(claims)


def residual(p: Tensor, q: Tensor) -> Tensor:
    """Return norm((p − q)₊) up to its factor, [N, V].

    Where p and q agree nothing but rounding is left: p itself then.
    """
    rest = (p - q).clamp_(min=0.0)
    return torch.where(rest.sum(-1, keepdim=True) > _NO_MASS, rest, p)
