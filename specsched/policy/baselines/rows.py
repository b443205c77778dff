"""Baselines that learn per request: one state per row, forgotten with it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from specsched.policy.base import Arm, RowView
from specsched.policy.baselines.plans import PlansController, follows
from specsched.records import Plan, RoundRecord


class RowState(Protocol):
    """What a baseline knows of one row."""

    def choose(self, row: RowView) -> Arm:
        """Choose the row's arm for the round that comes."""
        ...

    def observe(self, round_record: RoundRecord) -> None:
        """Learn from the row's round."""
        ...


class RowsController(PlansController):
    """Asks each row's state in turn; `make` builds a state from a row's plan."""

    def __init__(self, make: Callable[[Plan], RowState]) -> None:
        super().__init__()
        self._make = make
        self._states: dict[str, RowState] = {}

    def begin(self, request_id: str, plan: Plan, *, sampled: bool) -> None:
        """Take a row with its plan."""
        super().begin(request_id, plan, sampled=sampled)
        self._states[request_id] = self._make(plan)

    def observe(self, request_id: str, round_record: RoundRecord) -> None:
        """Learn from the row's round."""
        if follows(self._plans[request_id]):
            self._states[request_id].observe(round_record)

    def end(self, request_id: str) -> None:
        """Forget a row."""
        super().end(request_id)
        self._states.pop(request_id, None)

    def _wanted(self, rows: Sequence[RowView]) -> list[Arm]:
        return [self._states[row.request_id].choose(row) for row in rows]
