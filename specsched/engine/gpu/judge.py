"""`verify` on the device: the same decisions for all rows at once, and one read of what they came to.

Positions are rectangular here, [B, W] with W the longest draft + 1; a row's entries beyond its own γ + 1 are rubbish.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from specsched.engine.gpu.draws import Cast, casts, race
from specsched.engine.law import Span, shape_logits
from specsched.engine.noise import Purpose
from specsched.engine.row import Row
from specsched.engine.transfer import to_host
from specsched.engine.verify import Verdict, residual


@dataclass(frozen=True, slots=True)
class Guesses:
    """What the drafts guess for every row of a round."""

    tokens: Tensor
    """[B, W - 1], on the device."""
    counts: Tensor
    """[B], on the device: how many of them are each row's own. Decided before what comes after them was drawn."""
    most: Sequence[int]
    """What the host knows of that: bounds."""
    laws: Sequence[Tensor | None]
    """Per row [most, V] float32: exactly the law that each token was drawn from. None where it was certain, or where
    the row is coupled and the law is not needed."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the host reads of a row's round."""

    verdict: Verdict
    drafted: list[int]


def judge(logits: Tensor, rows: Sequence[Row], guesses: Guesses) -> list[Judgement]:
    """Judge every row's draft and read the outcome: the round's one wait for the device.

    Args:
        logits: The target's raw logits, [B, W, V].
        rows: B rows.
        guesses: Their drafts.
    """
    counts = guesses.counts
    tokens = torch.zeros_like(logits[..., 0], dtype=torch.long)  # [B, W]
    accepted = torch.zeros_like(counts)
    overlaps, chances = torch.zeros_like(logits[..., 0]), torch.zeros_like(logits[..., 0])
    for cast in casts(rows, logits.device):
        shaped = _shaped(cast, logits, guesses.tokens)
        if cast.coupled:
            chosen, run = _agree(cast, shaped, guesses.tokens, counts)
        else:
            chosen, run, beta, chance = _reject(cast, shaped, guesses, counts)
            cast.put(overlaps, beta)
            cast.put(chances, chance)
        cast.put(tokens, chosen)
        cast.put(accepted, run)
    sound = _sound(logits, counts)
    columns = (accepted[:, None], sound[:, None], counts[:, None], tokens, overlaps, chances, guesses.tokens)
    packed = to_host(torch.cat([column.double() for column in columns], 1))  # token ids are exact in float64
    return [_unpacked(*each) for each in zip(packed.tolist(), rows, strict=True)]


def _shaped(cast: Cast, logits: Tensor, drafted: Tensor) -> Tensor:
    """Shape the laws of a cast's rows, [b, W, V]."""
    own = cast.of(logits)
    width = own.shape[1]
    spans = [
        Span(row.job.sampling, row.history, width, drafted[i]) for i, row in zip(cast.members, cast.rows, strict=True)
    ]
    return shape_logits(own.flatten(0, 1), spans).view_as(own)


def _agree(cast: Cast, shaped: Tensor, drafted: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Drafter-invariant coupling: accept while the draft names the target's own choice (arXiv 2408.07978)."""
    chosen = cast.choose(shaped, cast.keys.over(shaped.shape[1]))  # [b, W]
    return chosen, _run(chosen[:, :-1] == cast.of(drafted), cast.of(counts))


def _reject(cast: Cast, shaped: Tensor, guesses: Guesses, counts: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Speculative sampling (Leviathan et al. 2023, arXiv 2211.17192, Algorithm 1); also Σ min(p, q), and p(tokens)."""
    drafted = cast.of(guesses.tokens)  # [b, W - 1]
    p = shaped.softmax(-1, dtype=torch.float32)  # [b, W, V]
    q = _draft_laws(p, drafted, cast.of(counts), [guesses.laws[i] for i in cast.members])  # 0 at bonus positions
    chance, claimed = (law[:, :-1].gather(2, drafted[..., None])[..., 0].double() for law in (p, q))  # [b, W - 1]
    units = cast.keys.over(drafted.shape[1]).uniform(Purpose.ACCEPT)
    accepted = _run(units * claimed < chance, cast.of(counts))
    at = accepted[:, None, None].expand(-1, 1, p.shape[-1])
    last = race(residual(p.gather(1, at), q.gather(1, at))[:, 0], cast.keys.ahead(accepted), Purpose.TARGET)
    tokens = torch.nn.functional.pad(drafted, (0, 1)).scatter(1, accepted[:, None], last[:, None])
    return tokens, accepted, torch.minimum(p, q).sum(-1), p.gather(2, tokens[..., None])[..., 0]


def _draft_laws(p: Tensor, drafted: Tensor, counts: Tensor, laws: Sequence[Tensor | None]) -> Tensor:
    """Lay out the laws that the drafts were drawn from, one-hot where a token was certain, [b, W, V]."""
    q = torch.zeros_like(p)
    q[:, :-1].scatter_(2, drafted[..., None], 1.0)
    for of_row, law in zip(q, laws, strict=True):
        if law is not None:
            of_row[: len(law)] = law
    return q.masked_fill_((_columns(q) >= counts[:, None])[..., None], 0.0)


def _run(stands: Tensor, counts: Tensor) -> Tensor:
    """Count each row's tokens before the first that does not stand, [b, W - 1] → [b]."""
    return (stands & (_columns(stands) < counts[:, None])).long().cumprod(1).sum(1)


def _columns(like: Tensor) -> Tensor:
    return torch.arange(like.shape[1], device=like.device)


def _sound(logits: Tensor, counts: Tensor) -> Tensor:
    """Whether every position of a row has a finite best logit (`Peaks.sound`), [B]."""
    finite = torch.isfinite(logits.amax(-1))  # [B, W]
    return (finite | (_columns(finite) > counts[:, None])).all(1)


def _unpacked(line: Sequence[float], row: Row) -> Judgement:
    accepted, sound, own, *rest = line
    n, count, width = int(accepted), int(own), (len(rest) + 1) // 4
    tokens = [int(token) for token in rest[: n + 1]]
    drafted = [int(token) for token in rest[3 * width : 3 * width + count]]
    if row.job.sampling.coupled:
        return Judgement(Verdict(tokens, n, sound=bool(sound)), drafted)
    overlaps, chances = rest[width : width + min(n + 1, count)], rest[2 * width : 2 * width + n + 1]
    return Judgement(Verdict(tokens, n, tuple(overlaps), bool(sound), tuple(chances)), drafted)
