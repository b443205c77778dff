"""Prompt lookup: what followed the last time that the text ended like this (Saxena 2023, "Prompt lookup decoding").

The ending is the longest that occurs earlier in prompt or completion (as in SAM decoding, Hu et al. 2024,
arXiv 2411.10666), found by a suffix automaton a row that grows with the committed tokens.
"""

from collections.abc import Sequence
from itertools import takewhile

from specsched.engine.proposers.base import NOTHING, Draft
from specsched.engine.proposers.suffix_index import MIN_MATCH, SuffixIndex
from specsched.engine.row import Row


class NgramProposer:
    """Drafts from the row's own prompt and completion. Deterministic: its law is one-hot."""

    def __init__(self, draft_id: str, min_match: int = MIN_MATCH) -> None:
        """Make one.

        Args:
            draft_id: Its name in arms and metrics.
            min_match: Tokens that the ending has to have; with a shorter one nothing is drafted.
        """
        self.id = draft_id
        self._min_match = min_match
        self._indexes: dict[Row, SuffixIndex] = {}

    def propose(self, rows: Sequence[Row], gammas: Sequence[int]) -> list[Draft]:
        """Look up each row's ending."""
        return [self._propose(row, gamma) for row, gamma in zip(rows, gammas, strict=True)]

    def commit(self, row: Row, valid_tokens: int) -> None:
        """Nothing to learn: the index holds committed tokens only."""

    def forget(self, row: Row) -> None:
        """Drop the row's index."""
        self._indexes.pop(row, None)

    def stands(self, row: Row, depth: int) -> list[int]:
        """Look up from every place of the completion (`LooksBack`)."""
        index, found, begin = SuffixIndex(), [], len(row.job.prompt_ids)
        for place in range(begin, len(row.tokens) - depth + 1):
            text = row.tokens[:place]
            index.extend(text)
            proposed = index.lookup(text, depth) if index.matched >= self._min_match else []
            pairs = zip(proposed, row.tokens[place:], strict=False)
            found.append(sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)))
        return found

    def _propose(self, row: Row, gamma: int) -> Draft:
        index = self._indexes.setdefault(row, SuffixIndex())
        index.extend(row.tokens)
        return Draft(index.lookup(row.tokens, gamma)) if index.matched >= self._min_match else NOTHING
