"""A small language model as proposer, with a ragged KV of its own.

Rows lag lazily: a row that this draft did not serve for a while (gamma was 0, or another draft ran) is caught up
by one chunked prefill when it is next used. That holds for the first use too: the prompt is just a long lag.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from specsched.engine.draw import coupled_choices, draw
from specsched.engine.kv import KVRow
from specsched.engine.law import shape_logits
from specsched.engine.model import LanguageModel
from specsched.engine.noise import Purpose, uniform
from specsched.engine.proposers.base import NOTHING, Draft
from specsched.engine.row import Row


class DraftModelProposer:
    """Drafts token by token, all rows of a group together."""

    def __init__(self, draft_id: str, model: LanguageModel) -> None:
        self.id = draft_id
        self.model = model
        self._kv: dict[Row, KVRow] = {}

    def propose(self, rows: Sequence[Row], gammas: Sequence[int]) -> list[Draft]:
        """Catch the rows up, then draft; a row that no longer fits the draft's context gets nothing."""
        fits = [i for i, row in enumerate(rows) if len(row.tokens) + gammas[i] <= self.model.max_context_tokens]
        drafts = [NOTHING] * len(rows)
        if fits:
            for i, draft in zip(fits, self._draft([rows[i] for i in fits], [gammas[i] for i in fits]), strict=True):
                drafts[i] = draft
        return drafts

    def commit(self, row: Row, valid_tokens: int) -> None:
        """Roll the row back to what stands."""
        kv = self._kv.get(row)
        if kv is not None:
            kv.length = min(kv.length, valid_tokens)

    def forget(self, row: Row) -> None:
        """Free the row's KV."""
        kv = self._kv.pop(row, None)
        if kv is not None:
            self.model.kv.close(kv)

    def _draft(self, rows: Sequence[Row], gammas: Sequence[int]) -> list[Draft]:
        kvs = [self._kv.get(row) or self._open(row) for row in rows]
        logits = self.model.catch_up(kvs, [row.tokens[kv.length :] for row, kv in zip(rows, kvs, strict=True)])
        tokens: list[list[int]] = [[] for _ in rows]
        laws: list[list[Tensor]] = [[] for _ in rows]
        active = list(range(len(rows)))
        while True:
            self._draw(rows, active, logits, tokens, laws)
            active = [i for i in active if len(tokens[i]) < gammas[i]]
            if not active:
                return [Draft(t, torch.stack(law) if law else None) for t, law in zip(tokens, laws, strict=True)]
            logits = self.model.forward([kvs[i] for i in active], [tokens[i][-1:] for i in active])[:, 0]  # [B, V]
            for i in active:
                kvs[i].length += 1

    def _draw(
        self,
        rows: Sequence[Row],
        active: Sequence[int],
        logits: Tensor,
        tokens: list[list[int]],
        laws: list[list[Tensor]],
    ) -> None:
        """Draw one more token for every active row from its row of `logits`, [len(active), V]."""
        shaped = shape_logits(logits, [rows[i].span(tokens[i], 1) for i in active])
        spots = [rows[i].spot(len(tokens[i])) for i in active]
        coupled = [n for n, spot in enumerate(spots) if spot.job.sampling.coupled]
        sampled = [n for n, spot in enumerate(spots) if not spot.job.sampling.coupled]
        if coupled:
            of_coupled = shaped[coupled] if sampled else shaped  # indexing copies
            choices = coupled_choices(of_coupled, [spots[n] for n in coupled])
            for n, token in zip(coupled, choices, strict=True):
                tokens[active[n]].append(token)
        if sampled:
            law = shaped[sampled].softmax(-1, dtype=torch.float32)
            units = [uniform(spots[n].job.noise_seed, spots[n].position, Purpose.DRAFT) for n in sampled]
            for n, token, of_row in zip(sampled, draw(law, units), law, strict=True):
                tokens[active[n]].append(token)
                laws[active[n]].append(of_row)

    def _open(self, row: Row) -> KVRow:
        kv = self._kv[row] = self.model.kv.open()
        return kv
