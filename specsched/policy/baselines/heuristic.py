"""Hugging Face's schedule (transformers, `num_assistant_tokens_schedule="heuristic_transient"`).

`AssistedCandidateGenerator.update_candidate_strategy`: two tokens more after a round whose every token was accepted,
one less after any other, at least one. 5 was its start before transformers made 20 constant tokens its default.
"""

from specsched.policy.base import Arm, RowView
from specsched.policy.baselines.plans import DraftPolicy
from specsched.policy.baselines.rows import RowsController
from specsched.records import Plan, RoundRecord

START = 5
MORE = 2
LESS = 1
LEAST = 1


class HeuristicSchedule:
    """γ of one row, within the plan's bound; every request starts anew ("transient")."""

    def __init__(self, plan: Plan) -> None:
        self._draft_model = plan.draft_model
        self._highest = plan.max_gamma
        self._gamma = plan.gamma

    def choose(self, row: RowView) -> Arm:  # noqa: ARG002 - the port's
        """Return the γ that the rounds so far led to."""
        return Arm(self._draft_model, self._gamma)

    def observe(self, round_record: RoundRecord) -> None:
        """Move γ; a round that drafted nothing says nothing."""
        if round_record.gamma == 0:
            return
        all_accepted = round_record.num_accepted == round_record.gamma
        moved = self._gamma + MORE if all_accepted else max(LEAST, self._gamma - LESS)
        self._gamma = min(moved, self._highest)


def heuristic_policy(draft_model: str, max_gamma: int) -> DraftPolicy:
    """Return the policy: the draft, from START on."""
    return DraftPolicy("heuristic", draft_model, START, max_gamma)


def heuristic_controller() -> RowsController:
    """Return the round controller: one schedule per row."""
    return RowsController(HeuristicSchedule)
