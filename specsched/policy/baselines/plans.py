"""What all baselines share: a plan that names one draft, and a controller that keeps every row within its plan."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

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
        """Return the draft with its first γ, as far as the hint and the active drafts allow it."""
        allowed = choice(context, self._max_gamma)
        wanted = context.hint.draft_model or self._draft_model
        if not allowed.gammas or wanted not in allowed.drafts:
            return Plan(policy=self._name)
        highest = allowed.gammas[-1]
        gamma = highest if allowed.pinned else min(self._gamma, highest)
        return Plan(wanted, gamma, highest, pinned=allowed.pinned, policy=self._name)

    def observe(self, observation: Observation) -> None:
        """Nothing to learn: rounds are judged where they are played."""


def follows(plan: Plan) -> bool:
    """Whether a controller may choose for the row; a caller's pin and a plan without drafts are left alone."""
    return not plan.pinned and plan.max_gamma > 0


class PlansController(ABC):
    """A round controller that keeps plans, and arms within them; what the arms are is for subclasses to say."""

    def __init__(self) -> None:
        self._plans: dict[str, Plan] = {}

    def begin(self, request_id: str, plan: Plan, *, sampled: bool) -> None:  # noqa: ARG002 - the port's
        """Take a row with its plan."""
        self._plans[request_id] = plan

    def choose(self, rows: Sequence[RowView]) -> list[Arm]:
        """Choose one arm per row for the round that comes."""
        return [self._within_plan(row, arm) for row, arm in zip(rows, self._wanted(rows), strict=True)]

    @abstractmethod
    def observe(self, request_id: str, round_record: RoundRecord) -> None:
        """Learn from the row's round."""

    def end(self, request_id: str) -> None:
        """Forget a row."""
        self._plans.pop(request_id, None)

    @abstractmethod
    def _wanted(self, rows: Sequence[RowView]) -> list[Arm]:
        """Choose for the rows that follow; for the others the answer doesn't count."""

    def _within_plan(self, row: RowView, wanted: Arm) -> Arm:
        plan = self._plans[row.request_id]
        arm = wanted if follows(plan) else Arm(plan.draft_model, plan.gamma)
        gamma = min(arm.gamma, plan.max_gamma, row.remaining_tokens - 1)
        return Arm(arm.draft_model, gamma) if gamma > 0 else PLAIN
