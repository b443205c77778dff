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
from specsched.engine.proposers.base import Draft
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

    def __init__(self, draft_id: str, forward: StaticForward) -> None:
        """Take the draft's forward."""
        super().__init__(draft_id, forward.model)
        self._forward = forward

    def propose(self, rows: Sequence[Row], gammas: Sequence[int]) -> list[Draft]:
        """Guess, and read the guesses: for callers that want them on the host."""
        guesses = self.guess(rows, gammas)
        lines = to_host(guesses.tokens).tolist()
        return [Draft(line[:n], law) for line, n, law in zip(lines, guesses.counts, guesses.laws, strict=True)]

    def guess(self, rows: Sequence[Row], gammas: Sequence[int]) -> Guesses:
        """Draft gammas[i] ≥ 1 tokens for rows[i]; none for a row that no longer fits the draft's context."""
        fits = [i for i, row in enumerate(rows) if len(row.tokens) + gammas[i] <= self.model.max_context_tokens]
        if len(fits) == len(rows):
            return self._guess(rows, gammas)
        tokens = torch.zeros(len(rows), max(gammas), dtype=torch.long, device=self.model.device)
        counts = [0] * len(rows)
        laws: list[Tensor | None] = [None] * len(rows)
        if fits:
            own = self._guess([rows[i] for i in fits], [gammas[i] for i in fits])
            tokens[:, : own.tokens.shape[1]].index_copy_(0, to_device(fits, self.model.device), own.tokens)
            for i, count, law in zip(fits, own.counts, own.laws, strict=True):
                counts[i], laws[i] = count, law
        return Guesses(tokens, counts, laws)

    def _guess(self, rows: Sequence[Row], gammas: Sequence[int]) -> Guesses:
        kvs = [self._kv.get(row) or self._open(row) for row in rows]
        logits = self._caught_up(kvs, [row.tokens[kv.length :] for row, kv in zip(rows, kvs, strict=True)])  # [b, V]
        steps = max(gammas)
        tokens = torch.zeros(len(rows), steps, dtype=torch.long, device=self.model.device)
        drawn = [_Drawn(cast, []) for cast in casts(rows, self.model.device)]
        lines = self._forward.place(kvs, [gamma - 1 for gamma in gammas])
        counts = to_device(gammas, self.model.device)
        for step in range(steps):
            for each in drawn:
                _draw(each, logits, tokens, step)
            if step + 1 < steps:  # rows whose γ is reached go along, and write nowhere
                live = (counts > step + 1).long()
                logits = self._forward(lines.ahead(step), tokens[:, step : step + 1], live)[:, 0]
        for kv, gamma in zip(kvs, gammas, strict=True):
            kv.length += gamma - 1
        return Guesses(tokens, gammas, _laws(drawn, gammas))

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


def _draw(drawn: _Drawn, logits: Tensor, tokens: Tensor, step: int) -> None:
    """Draw each row's next token from its row of `logits`, [b, V], into `tokens`, [b, γ]."""
    cast = drawn.cast
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


def _laws(drawn: Sequence[_Drawn], gammas: Sequence[int]) -> list[Tensor | None]:
    """Sort the laws by row, [γ_i, V] each."""
    laws: list[Tensor | None] = [None] * len(gammas)
    for each in drawn:
        if each.laws:
            stacked = torch.stack(each.laws, 1)  # [b, γ, V]
            for i, of_row in zip(each.cast.members, stacked, strict=True):
                laws[i] = of_row[: gammas[i]]
    return laws
