"""A small language model as proposer, with a ragged KV of its own.

Rows lag lazily: a row that this draft did not serve for a while (gamma was 0, or another draft ran) is caught up
by one chunked prefill when it is next used. That holds for the first use too: the prompt is just a long lag.
"""

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor

from specsched.engine.kv import KVRow
from specsched.engine.model import LanguageModel
from specsched.engine.proposers.base import NOTHING, Draft, Proposer
from specsched.engine.proposers.drawing import Drawing
from specsched.engine.proposers.past import Past
from specsched.engine.row import Row
from specsched.policy.counterfactual import Retraced, drafted_until, windows

_HINDSIGHT_TOKENS = 128
"""Tokens whose logits are held at once."""


class DraftModelProposer:
    """Drafts token by token, all rows of a group together."""

    def __init__(
        self,
        draft_id: str,
        model: LanguageModel,
        stop_below: float = 0.0,
        begin: Callable[[Sequence[Row], Sequence[int], float], Drawing] = Drawing,
    ) -> None:
        """Take a model.

        Args:
            draft_id: Its name in arms and metrics.
            model: Loaded.
            stop_below: How unsure it may become (`Drawing`).
            begin: Begins a round's draws for some rows, so many tokens each, as sure as that.
        """
        self.id = draft_id
        self.model = model
        self._stop_below = stop_below
        self._begin = begin
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

    def at_length(self) -> Proposer:
        """Return one that never stops by itself (`MayEndEarly`)."""
        return DraftModelProposer(self.id, self.model)

    def look_back(self, past: Past) -> Retraced | None:
        """Take in the row's whole text once; a text that does not fit tells nothing (`LooksBack`)."""
        if past.begin == 0 or len(past.row.tokens) > self.model.max_context_tokens:
            return None
        reading = past.reading(self.model.weights, self._read(past.row, past.begin))
        drafted = drafted_until(windows(reading.peaks, past.depth), self._stop_below)
        return Retraced.along(reading.weights, past.depth, drafted)

    def _read(self, row: Row, begin: int) -> Iterator[Tensor]:
        """Compute the logits before each token from a place on, [n, V] a stretch."""
        kv = self._kv.get(row) or self._open(row)
        kv.length = min(kv.length, begin - 1)
        if kv.length < begin - 1:
            self.model.catch_up([kv], [row.tokens[kv.length : begin - 1]])
        for start in range(begin - 1, len(row.tokens) - 1, _HINDSIGHT_TOKENS):
            stretch = row.tokens[start : start + _HINDSIGHT_TOKENS][: len(row.tokens) - 1 - start]
            logits = self.model.forward([kv], [stretch])
            kv.length += len(stretch)
            yield logits[0]

    def _draft(self, rows: Sequence[Row], gammas: Sequence[int]) -> list[Draft]:
        kvs = [self._kv.get(row) or self._open(row) for row in rows]
        missing = [row.tokens[kv.length :] for row, kv in zip(rows, kvs, strict=True)]
        drawing = self._begin(rows, gammas, self._stop_below)
        if drawing.certain and self.model.follows:
            drafts = drawing.take(self.model.follow(kvs, missing, max(gammas)))
        else:
            ids = drawing.next(self.model.catch_up(kvs, missing))  # [B]
            while drawing.goes_on:
                ids = drawing.next(self.model.step(kvs, ids))
            drafts = drawing.drafts()
        for row, kv, draft in zip(rows, kvs, drafts, strict=True):
            kv.length = len(row.tokens) + len(draft.tokens) - 1
        return drafts

    def _open(self, row: Row) -> KVRow:
        kv = self._kv[row] = self.model.kv.open()
        return kv
