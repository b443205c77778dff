"""A draft model that drafts on the device: γ steps follow each other, and no token is read in between."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from specsched.engine.gpu.draws import Cast, casts, race
from specsched.engine.gpu.forward import MOST_WIDTH, StaticForward, bucket, padded
from specsched.engine.gpu.judge import Guesses
from specsched.engine.kv import KVRow
from specsched.engine.law import Span, shape_logits
from specsched.engine.noise import Purpose
from specsched.engine.proposers.base import Draft, Proposer
from specsched.engine.proposers.draft_model import DraftModelProposer
from specsched.engine.row import Row
from specsched.engine.transfer import to_device, to_host


@dataclass(slots=True)
class _Drawn:
    """A cast and the laws that its tokens were drawn from so far, [b, V] a step; none where it is coupled."""

    cast: Cast
    laws: list[Tensor]


class DeviceDraftProposer(DraftModelProposer):
    """`DraftModelProposer` whose tokens and laws stay on the device until the round is judged."""

    def __init__(self, draft_id: str, forward: StaticForward, stop_below: float = 0.0) -> None:
        """Take the draft's forward, and how unsure it may become (`Drawing`)."""
        super().__init__(draft_id, forward.model, stop_below)
        self._forward = forward

    def at_length(self) -> Proposer:
        """Return one that never stops by itself (`MayEndEarly`)."""
        return DeviceDraftProposer(self.id, self._forward)

    def propose(self, rows: Sequence[Row], gammas: Sequence[int]) -> list[Draft]:
        """Guess, and read the guesses: for callers that want them on the host."""
        guesses = self.guess(rows, gammas)
        lines = to_host(torch.cat((guesses.counts[:, None], guesses.tokens), 1)).tolist()
        return [
            Draft(tokens[:count], None if law is None else law[:count])
            for (count, *tokens), law in zip(lines, guesses.laws, strict=True)
        ]

    def guess(self, rows: Sequence[Row], gammas: Sequence[int]) -> Guesses:
        """Draft gammas[i] ≥ 1 tokens at most for rows[i]; none for a row that no longer fits the draft's context."""
        fits = [i for i, row in enumerate(rows) if len(row.tokens) + gammas[i] <= self.model.max_context_tokens]
        if len(fits) == len(rows):
            return self._guess(rows, gammas)
        tokens = torch.zeros(len(rows), max(gammas), dtype=torch.long, device=self.model.device)
        counts = tokens.new_zeros(len(rows))
        most = [0] * len(rows)
        laws: list[Tensor | None] = [None] * len(rows)
        if fits:
            own = self._guess([rows[i] for i in fits], [gammas[i] for i in fits])
            index = to_device(fits, self.model.device)
            tokens[:, : own.tokens.shape[1]].index_copy_(0, index, own.tokens)
            counts.index_copy_(0, index, own.counts)
            for i, count, law in zip(fits, own.most, own.laws, strict=True):
                most[i], laws[i] = count, law
        return Guesses(tokens, counts, most, laws)

    def _guess(self, rows: Sequence[Row], gammas: Sequence[int]) -> Guesses:
        kvs = [self._kv.get(row) or self._open(row) for row in rows]
        logits = self._caught_up(kvs, [row.tokens[kv.length :] for row, kv in zip(rows, kvs, strict=True)])  # [b, V]
        steps = max(gammas)
        tokens = torch.zeros(len(rows), steps, dtype=torch.long, device=self.model.device)
        drawn = [_Drawn(cast, []) for cast in casts(rows, self.model.device)]
        lines = self._forward.place(kvs, [gamma - 1 for gamma in gammas])
        counts = most = to_device(gammas, self.model.device)
        chances = torch.ones(len(rows), dtype=torch.float64, device=self.model.device)  # of all so far to stand
        for step in range(steps):
            for each in drawn:
                _draw(each, logits, tokens[:, : step + 1], chances, sure=not self._stop_below)
            if self._stop_below:
                counts = torch.where(chances < self._stop_below, counts.clamp(max=step + 1), counts)
            if step + 1 < steps:  # rows that are done go along, and write nowhere
                live = ((counts > step) & (most > step + 1)).long()
                logits = self._forward(lines.ahead(step), tokens[:, step : step + 1], live)[:, 0]
        for kv, gamma in zip(kvs, gammas, strict=True):
            kv.length += gamma - 1  # as far as anything that stands can reach: where a row stopped, its last one is in
        return Guesses(tokens, counts, gammas, _laws(drawn, gammas))

    def _caught_up(self, kvs: Sequence[KVRow], missed: Sequence[Sequence[int]]) -> Tensor:
        """Take in what the rows miss, and lengthen them; returns the logits after each one's last token, [b, V]."""
        counts = [len(tokens) for tokens in missed]
        if bucket(max(counts)) > MOST_WIDTH:
            return self.model.catch_up(kvs, missed)
        lines = self._forward.place(kvs, counts)
        own = to_device(counts, self.model.device)
        ids = to_device(padded(missed, bucket(max(counts))), self.model.device)
        logits = self._forward(lines, ids, own)
        for kv, count in zip(kvs, counts, strict=True):
            kv.length += count
        return logits[torch.arange(len(kvs), device=self.model.device), own - 1]


def _draw(drawn: _Drawn, logits: Tensor, tokens: Tensor, chances: Tensor, *, sure: bool) -> None:
    """Draw each row's next token from its row of `logits`, [B, V], into the last column of `tokens`, [B, step + 1].

    Unless the draft is sure of itself, its chances, [B], are multiplied by the largest probability.
    """
    cast, step = drawn.cast, tokens.shape[1] - 1
    spans = [
        Span(row.job.sampling, row.history, 1, tokens[i, :step]) for i, row in zip(cast.members, cast.rows, strict=True)
    ]
    shaped = shape_logits(cast.of(logits), spans)
    if cast.coupled:
        chosen = cast.choose(shaped, cast.keys.ahead(step))
    else:
        drawn.laws.append(shaped.softmax(-1, dtype=torch.float32))
        chosen = race(drawn.laws[-1], cast.keys.ahead(step), Purpose.DRAFT)
    cast.put(tokens[:, step], chosen)
    if not sure:
        cast.put(chances, cast.of(chances) * shaped.softmax(-1).amax(-1))


def _laws(drawn: Sequence[_Drawn], gammas: Sequence[int]) -> list[Tensor | None]:
    """Sort the laws by row, [γ_i, V] each."""
    laws: list[Tensor | None] = [None] * len(gammas)
    for each in drawn:
        if each.laws:
            stacked = torch.stack(each.laws, 1)  # [b, γ, V]
            for i, of_row in zip(each.cast.members, stacked, strict=True):
                laws[i] = of_row[: gammas[i]]
    return laws
