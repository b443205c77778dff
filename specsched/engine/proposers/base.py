"""The proposer's port."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from specsched.engine.proposers.past import Past
from specsched.engine.row import Row
from specsched.policy.counterfactual import Retraced


@dataclass(frozen=True, slots=True)
class Draft:
    """What a proposer guesses for one row."""

    tokens: list[int]
    law: Tensor | None = None
    """[len(tokens), V] float32: exactly the law that each token was drawn from. None where the token was certain
    (one-hot), or where the row is coupled and the law is not needed."""


NOTHING = Draft([])


class Proposer(Protocol):
    """Produces draft tokens. May look at nothing but what is committed: never at the round's target logits."""

    @property
    def id(self) -> str:
        """The draft's name in arms and metrics."""
        ...

    def propose(self, rows: Sequence[Row], gammas: Sequence[int]) -> list[Draft]:
        """Draft up to gammas[i] ≥ 1 tokens for rows[i]; fewer where there is nothing to go by."""
        ...

    def commit(self, row: Row, valid_tokens: int) -> None:
        """Learn that of a row that took part only the first `valid_tokens` of what the proposer has seen stand."""
        ...

    def forget(self, row: Row) -> None:
        """Free what is kept for a row. Rows that never took part are ignored."""
        ...


@runtime_checkable
class MayEndEarly(Protocol):
    """A proposer whose work may be less than what is asked for, by what the text is like."""

    def at_length(self) -> Proposer:
        """Return one that does all the work, over the same weights, with rows of its own: what a step costs."""
        ...


@runtime_checkable
class LooksBack(Protocol):
    """A proposer that can say what it would have brought to a completion that it did not draft."""

    def look_back(self, past: Past) -> Retraced | None:
        """Return the rounds that it would have begun there, at each of the past's places; None where it cannot tell.

        It may keep the row's text until it forgets it.
        """
        ...


def at_length(proposer: Proposer) -> Proposer:
    """Return a proposer that does all the work that is asked for."""
    return proposer.at_length() if isinstance(proposer, MayEndEarly) else proposer
