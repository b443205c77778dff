"""Nothing is drafted: plain decoding as a proposer."""

from collections.abc import Sequence

from specsched.engine.proposers.base import NOTHING, Draft
from specsched.engine.row import Row
from specsched.records import NO_DRAFT


class NoProposer:
    """The null object."""

    id = NO_DRAFT

    def propose(self, rows: Sequence[Row], gammas: Sequence[int]) -> list[Draft]:  # noqa: ARG002 - the port's signature
        """Draft nothing."""
        return [NOTHING] * len(rows)

    def commit(self, row: Row, valid_tokens: int) -> None:
        """Nothing to learn."""

    def forget(self, row: Row) -> None:
        """Nothing to free."""
