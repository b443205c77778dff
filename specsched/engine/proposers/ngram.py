"""Prompt lookup: what followed the last time that the text ended like this (Saxena 2023, "Prompt lookup decoding").

One hash map a row from n-gram to the position after its latest occurrence, kept up to date as tokens are
committed; a proposal costs one lookup per n, whatever the length of the text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from specsched.engine.proposers.base import NOTHING, Draft
from specsched.engine.row import Row

MAX_NGRAM = 4
MIN_NGRAM = 2


@dataclass(slots=True)
class NgramIndex:
    """Where each n-gram of a growing text was last followed by something."""

    after: dict[tuple[int, ...], int] = field(default_factory=dict)
    indexed: int = 0
    """Tokens of the text that are in the index."""

    def extend(self, tokens: Sequence[int]) -> None:
        """Index every n-gram that is followed by a token."""
        for end in range(max(self.indexed, MIN_NGRAM), len(tokens)):
            for n in range(MIN_NGRAM, min(MAX_NGRAM, end) + 1):
                self.after[tuple(tokens[end - n : end])] = end
        self.indexed = len(tokens)

    def lookup(self, tokens: Sequence[int], count: int) -> list[int]:
        """Return up to `count` tokens that followed the longest known ending of `tokens`.

        Where the match runs into the end of the text it goes on with what it has proposed itself, so a text that
        repeats with a short period is continued, not cut.
        """
        for n in range(min(MAX_NGRAM, len(tokens)), MIN_NGRAM - 1, -1):
            start = self.after.get(tuple(tokens[len(tokens) - n :]))
            if start is not None:
                return _continue(tokens, start, count)
        return []


class NgramProposer:
    """Drafts from the row's own prompt and completion. Deterministic: its law is one-hot."""

    def __init__(self, draft_id: str) -> None:
        self.id = draft_id
        self._indexes: dict[Row, NgramIndex] = {}

    def propose(self, rows: Sequence[Row], gammas: Sequence[int]) -> list[Draft]:
        """Look up each row's ending."""
        return [self._propose(row, gamma) for row, gamma in zip(rows, gammas, strict=True)]

    def commit(self, row: Row, valid_tokens: int) -> None:
        """Nothing to learn: the index holds committed tokens only."""

    def forget(self, row: Row) -> None:
        """Drop the row's index."""
        self._indexes.pop(row, None)

    def _propose(self, row: Row, gamma: int) -> Draft:
        index = self._indexes.setdefault(row, NgramIndex())
        index.extend(row.tokens)
        tokens = index.lookup(row.tokens, gamma)
        return Draft(tokens) if tokens else NOTHING


def _continue(tokens: Sequence[int], start: int, count: int) -> list[int]:
    period = len(tokens) - start
    return [tokens[start + i % period] for i in range(count)]
