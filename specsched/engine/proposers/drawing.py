"""The tokens that a draft model draws for some rows, one position after the other."""

from collections.abc import Sequence

import torch
from torch import Tensor

from specsched.engine.draw import coupled_choices, draw
from specsched.engine.law import shape_logits
from specsched.engine.noise import Purpose, uniform
from specsched.engine.peaks import best_tokens
from specsched.engine.proposers.base import Draft
from specsched.engine.row import Row


class Drawing:
    """One round's draws. Where every row is plainly greedy nothing is read from the logits before the end."""

    def __init__(self, rows: Sequence[Row], gammas: Sequence[int], stop_below: float = 0.0) -> None:
        """Begin after what the rows have committed.

        Args:
            rows: B rows.
            gammas: How many tokens each gets at most, one at least. The longest is drawn for all: what is cut off was
                never going to be submitted, whatever it is.
            stop_below: A row gets no further token once the product of its laws' largest probabilities is below this:
                how likely all that it has stands, as far as the draft can tell. It is not asked how likely the drawn
                tokens were: a sampled one may be unlikely and stand all the same where the target is as unsure.
        """
        self._rows = rows
        self._gammas = list(gammas)
        self._stop_below = stop_below
        self._chances = [1.0] * len(rows)
        """Of all tokens of a row so far to stand, as the draft can tell."""
        self._drawn = 0
        self._plain = all(row.plain for row in rows)
        self._columns: list[Tensor] = []
        self._tokens: list[list[int]] = [[] for _ in rows]
        self._coupled = [i for i, row in enumerate(rows) if row.job.sampling.coupled]
        self._sampled = [i for i, row in enumerate(rows) if not row.job.sampling.coupled]
        self._laws: list[Tensor] = []
        """Of the sampled rows, [S, V] a draw."""

    @property
    def goes_on(self) -> bool:
        """Whether some row gets another token."""
        return self._drawn < max(self._gammas)

    @property
    def certain(self) -> bool:
        """Whether every row gets the likeliest tokens, as many as it may have."""
        return self._plain and not self._stop_below

    def take(self, tokens: Sequence[list[int]]) -> list[Draft]:
        """Return each row's tokens where they are certain and all known, [B][longest gamma]."""
        return [Draft(line[:gamma]) for line, gamma in zip(tokens, self._gammas, strict=True)]

    def next(self, logits: Tensor) -> Tensor:
        """Draw one more token of every row from its logits, [B, V] → [B]."""
        self._drawn += 1
        if self._plain:
            self._columns.append(best_tokens(logits))
            self._consider(logits)
            return self._columns[-1]
        shaped = self._draw(logits)
        ids = torch.tensor([tokens[-1] for tokens in self._tokens], device=logits.device)
        self._consider(shaped)
        return ids

    def drafts(self) -> list[Draft]:
        """Return each row's tokens."""
        if self._plain:
            lines = torch.stack(self._columns, 1).tolist()
            return [Draft(line[:gamma]) for line, gamma in zip(lines, self._gammas, strict=True)]
        drafts = [Draft(tokens[:gamma]) for tokens, gamma in zip(self._tokens, self._gammas, strict=True)]
        if self._sampled:
            for i, law in zip(self._sampled, torch.stack(self._laws, 1), strict=True):  # [S, γ, V]
                drafts[i] = Draft(drafts[i].tokens, law[: self._gammas[i]])
        return drafts

    def _consider(self, shaped: Tensor) -> None:
        """Stop rows whose tokens so far are too unlikely to stand: known before the last one was drawn."""
        if not self._stop_below:
            return
        for i, chance in enumerate(shaped.softmax(-1).amax(-1).tolist()):
            self._chances[i] *= chance
            if self._chances[i] < self._stop_below:
                self._gammas[i] = min(self._gammas[i], self._drawn)

    def _draw(self, logits: Tensor) -> Tensor:
        """Draw a token of every row; returns the logits of the laws."""
        rows, tokens, sampled, coupled = self._rows, self._tokens, self._sampled, self._coupled
        shaped = shape_logits(logits, [row.span(drawn, 1) for row, drawn in zip(rows, tokens, strict=True)])
        ahead = self._drawn - 1
        if coupled:
            of_coupled = shaped[coupled] if sampled else shaped  # indexing copies
            choices = coupled_choices(of_coupled, [rows[i].spot(ahead) for i in coupled])
            for i, token in zip(coupled, choices, strict=True):
                tokens[i].append(token)
        if sampled:
            law = (shaped[sampled] if coupled else shaped).softmax(-1, dtype=torch.float32)
            units = [uniform(rows[i].job.noise_seed, rows[i].position + ahead, Purpose.DRAFT) for i in sampled]
            for i, token in zip(sampled, draw(law, units), strict=True):
                tokens[i].append(token)
            self._laws.append(law)
        return shaped
