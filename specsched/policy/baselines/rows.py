"""Baselines that learn per request: one state per row that follows, forgotten with it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from specsched.policy.base import Arm, RowView
from specsched.policy.baselines.plans import PLAIN, PlansController, follows
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
        if follows(plan):
            self._states[request_id] = self._make(plan)

    def observe(self, request_id: str, round_record: RoundRecord) -> None:
        """Learn from the row's round."""
        if request_id in self._states:
            self._states[request_id].observe(round_record)

    def end(self, request_id: str) -> None:
        """Forget a row."""
        super().end(request_id)
        self._states.pop(request_id, None)

    def _wanted(self, rows: Sequence[RowView]) -> list[Arm]:
        states = [self._states.get(row.request_id) for row in rows]
        return [state.choose(row) if state else PLAIN for row, state in zip(rows, states, strict=True)]
