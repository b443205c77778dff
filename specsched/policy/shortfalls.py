"""How often drafts draft fewer tokens than they were asked for, by finding nothing or by stopping early."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from specsched.records import RoundRecord

_KEPT = 0.999
"""What is left of a draft's evidence after a round of it."""
_PRIOR_ROUNDS = 8.0
"""Rounds in which a draft is taken to have drafted all: one that never fell short is expected never to."""


@dataclass(slots=True)
class _Seen:
    """Discounted rounds of one draft, by position; a round that was asked for fewer says nothing beyond."""

    asked: list[float] = field(default_factory=list)
    """That were to draft a position and had drafted all before it."""
    stopped: list[float] = field(default_factory=list)
    """Of these, that did not draft it."""

    def add(self, drafted: int, planned: int) -> None:
        """Take in one more round."""
        missing = [0.0] * (planned - len(self.asked))
        self.asked, self.stopped = self.asked + missing, self.stopped + missing
        for j in range(len(self.asked)):
            self.asked[j] = _KEPT * self.asked[j] + (j < planned and j <= drafted)
            self.stopped[j] = _KEPT * self.stopped[j] + (j == drafted < planned)

    def missing(self) -> tuple[float, ...]:
        """1 − D_j by position (product-limit: Kaplan and Meier 1958)."""
        reached, found = 1.0, []
        for asked, stopped in zip(self.asked, self.stopped, strict=True):
            reached *= 1 - stopped / (_PRIOR_ROUNDS + asked)
            found.append(1 - reached)
        return tuple(found) if any(self.stopped) else ()


class Shortfalls:
    """1 − D_j, with D_j = P(at least j tokens are drafted | so many were asked for), by draft.

    Only time depends on it: E[tokens] knows already, for a position that is not drafted counts as a miss (`outcomes`),
    so that a hazard is P(drafted and accepted | those before it accepted).
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._known: dict[str, tuple[float, ...]] = {}

    def observe(self, record: RoundRecord) -> None:
        """Learn from one row's round; plain ones say nothing."""
        if record.planned_gamma:
            self._seen.setdefault(record.draft_model, _Seen()).add(record.gamma, record.planned_gamma)
            self._known.pop(record.draft_model, None)

    def of(self, draft_model: str, positions: int) -> Sequence[float]:
        """P(fewer than j tokens are drafted), j from 1 to `positions`; nothing where a draft never fell short."""
        found = self._known.get(draft_model)
        if found is None:
            seen = self._seen.get(draft_model)
            found = self._known[draft_model] = seen.missing() if seen else ()
        return found[:positions] + found[-1:] * (positions - len(found))
