"""Baselines with one γ for the whole batch: what they know is the worker's and outlives its requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from specsched.policy.base import Arm, RowView
from specsched.policy.baselines.plans import PlansController, follows
from specsched.records import RoundRecord


@dataclass(frozen=True, slots=True)
class BatchView:
    """The rows of the round that comes."""

    rows: int
    """All that are verified together, pinned and plain ones included."""
    drafts: Mapping[str, int]
    """Draft → rows that follow with it."""
    context_tokens: float
    """Mean over the rows."""
    max_gamma: int
    """Of the row whose plan allows most."""


class Lever(Protocol):
    """Chooses the batch's γ."""

    def choose(self, batch: BatchView) -> int:
        """Choose γ for the round that comes."""
        ...

    def observe(self, records: Sequence[RoundRecord]) -> None:
        """Learn from the round of all rows that follow."""
        ...


class LeverController(PlansController):
    """Pulls one lever per round; each row keeps its plan's draft and bound."""

    def __init__(self, lever: Lever) -> None:
        super().__init__()
        self._lever = lever
        self._due: set[str] = set()
        self._records: list[RoundRecord] = []

    def observe(self, request_id: str, round_record: RoundRecord) -> None:
        """Learn, once the last row of the round is in."""
        if request_id not in self._due:
            return
        self._due.remove(request_id)
        self._records.append(round_record)
        if not self._due:
            self._lever.observe(self._records)

    def _wanted(self, rows: Sequence[RowView]) -> list[Arm]:
        plans = [self._plans[row.request_id] for row in rows]
        following = {row.request_id: plan for row, plan in zip(rows, plans, strict=True) if follows(plan)}
        self._due, self._records = set(following), []
        if not following:
            return [Arm(plan.draft_model, plan.gamma) for plan in plans]
        drafts: dict[str, int] = {}
        for plan in following.values():
            drafts[plan.draft_model] = drafts.get(plan.draft_model, 0) + 1
        context = sum([row.context_tokens for row in rows]) / len(rows)
        highest = max([plan.max_gamma for plan in following.values()])
        gamma = self._lever.choose(BatchView(len(rows), drafts, context, highest))
        return [Arm(plan.draft_model, gamma) for plan in plans]
