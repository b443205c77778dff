"""What the baselines share: a plan that names one draft, and a round controller that keeps a state per row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from specsched.policy.base import Arm, DecisionContext, Observation, RowView
from specsched.policy.hint import choice
from specsched.records import NO_DRAFT, Plan, RoundRecord

PLAIN = Arm(NO_DRAFT, 0)


class DraftPolicy:
    """Names one configured draft for every request and leaves γ to the rounds; all learning is the worker's.

    A caller's hint goes before it: another draft, a pinned γ, a lower bound, or none at all.
    """

    def __init__(self, name: str, draft_model: str, gamma: int, max_gamma: int) -> None:
        self._name = name
        self._draft_model = draft_model
        self._gamma = gamma
        self._max_gamma = max_gamma

    def decide(self, context: DecisionContext) -> Plan:
        """Return the configured draft with its first γ, as far as the hint and the active drafts allow it."""
        allowed = choice(context, self._max_gamma)
        wanted = context.hint.draft_model or self._draft_model
        if not allowed.gammas or wanted not in allowed.drafts:
            return Plan(policy=self._name)
        highest = allowed.gammas[-1]
        gamma = highest if allowed.pinned else min(self._gamma, highest)
        return Plan(wanted, gamma, highest, pinned=allowed.pinned, policy=self._name)

    def observe(self, observation: Observation) -> None:
        """Nothing to learn: rounds are judged where they are played."""


class RowState(Protocol):
    """What a baseline keeps of one row."""

    def choose(self, running_rows: int, context_tokens: int) -> Arm:
        """Choose the row's arm for the round that comes."""
        ...

    def observe(self, round_record: RoundRecord) -> None:
        """Learn from the row's round."""
        ...


State = TypeVar("State", bound=RowState)


@dataclass(frozen=True, slots=True)
class _Row(Generic[State]):
    plan: Plan
    state: State

    @property
    def follows(self) -> bool:
        """Whether the controller may choose for it; a caller's pin and a plan without a draft are left alone."""
        return not self.plan.pinned and self.plan.max_gamma > 0

    def arm(self, view: RowView, running_rows: int) -> Arm:
        """The state's choice within the plan's bound and what the row can still take."""
        wanted = Arm(self.plan.draft_model, self.plan.gamma)
        if self.follows:
            wanted = self.state.choose(running_rows, view.context_tokens)
            wanted = Arm(wanted.draft_model, min(wanted.gamma, self.plan.max_gamma))
        gamma = min(wanted.gamma, view.remaining_tokens - 1)
        return Arm(wanted.draft_model, gamma) if gamma > 0 else PLAIN


class RowController(Generic[State]):
    """A round controller that asks each row's state in turn; `make` builds a state from a row's plan."""

    def __init__(self, make: Callable[[Plan], State]) -> None:
        self._make = make
        self._rows: dict[str, _Row[State]] = {}

    def begin(self, request_id: str, plan: Plan, *, sampled: bool) -> None:  # noqa: ARG002 - the port's
        """Take a row with its plan."""
        self._rows[request_id] = _Row(plan, self._make(plan))

    def choose(self, rows: Sequence[RowView]) -> list[Arm]:
        """Choose one arm per row for the round that comes."""
        return [self._rows[view.request_id].arm(view, len(rows)) for view in rows]

    def observe(self, request_id: str, round_record: RoundRecord) -> None:
        """Learn from the row's round."""
        row = self._rows[request_id]
        if row.follows:
            row.state.observe(round_record)

    def end(self, request_id: str) -> None:
        """Forget a row."""
        self._rows.pop(request_id, None)
