"""Prompt lookup: what followed the last time that the text ended like this (Saxena 2023, "Prompt lookup decoding").

The ending is the longest that occurs earlier in prompt or completion (as in SAM decoding, Hu et al. 2024,
arXiv 2411.10666), found by a suffix automaton a row that grows with the committed tokens.
"""

from collections.abc import Sequence

import numpy as np

from specsched.engine.proposers.base import NOTHING, Draft
from specsched.engine.proposers.past import Past
from specsched.engine.proposers.suffix_index import MIN_MATCH, SuffixIndex
from specsched.engine.row import Row
from specsched.policy.counterfactual import Retraced, windows


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

    def look_back(self, past: Past) -> Retraced:
        """Look up from every place (`LooksBack`)."""
        text, size = past.row.tokens, len(past.begins)
        index, names, drafted = SuffixIndex(), np.zeros((size, past.depth)), np.zeros(size, dtype=np.int64)
        for start, place in enumerate(past.begins):
            found = self._found(index, text[:place], past.depth)
            drafted[start] = len(found)
            names[start, : len(found)] = found
        came = windows(np.asarray(text[past.begin :]), past.depth)
        return Retraced.of((names == came).astype(np.float64), drafted)

    def _propose(self, row: Row, gamma: int) -> Draft:
        found = self._found(self._indexes.setdefault(row, SuffixIndex()), row.tokens, gamma)
        return Draft(found) if found else NOTHING

    def _found(self, index: SuffixIndex, text: Sequence[int], count: int) -> list[int]:
        index.extend(text)
        return index.lookup(text, count) if index.matched >= self._min_match else []
