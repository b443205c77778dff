"""Hugging Face's schedule (transformers, `num_assistant_tokens_schedule="heuristic_transient"`).

`AssistedCandidateGenerator.update_candidate_strategy`: two tokens more after a round whose every token was accepted,
one less after any other, at least one. It started at 5 until transformers made 20 constant tokens its default.
"""

from specsched.policy.base import Arm
from specsched.policy.baselines.rows import DraftPolicy, RowController
from specsched.records import Plan, RoundRecord

NAME = "heuristic"
START = 5
MORE = 2
LESS = 1
LEAST = 1


class HeuristicSchedule:
    """γ of one row, from START and within the plan's bound; every request starts anew ("transient")."""

    def __init__(self, plan: Plan) -> None:
        self._draft_model = plan.draft_model
        self._highest = plan.max_gamma
        self._gamma = plan.gamma

    def choose(self, running_rows: int, context_tokens: int) -> Arm:  # noqa: ARG002 - the port's
        """Return the γ that the rounds so far led to."""
        return Arm(self._draft_model, self._gamma)

    def observe(self, round_record: RoundRecord) -> None:
        """Move γ; a plain round says nothing, and a round cut by the completion's end has no successor."""
        if round_record.gamma == 0:
            return
        accepted_all = round_record.num_accepted == round_record.gamma
        moved = self._gamma + MORE if accepted_all else self._gamma - LESS
        self._gamma = min(max(moved, LEAST), self._highest)


def heuristic_policy(draft_model: str, max_gamma: int) -> DraftPolicy:
    """Every request's plan: the draft, γ from START."""
    return DraftPolicy(NAME, draft_model, START, max_gamma)


def heuristic_controller() -> RowController[HeuristicSchedule]:
    """One schedule per row."""
    return RowController(HeuristicSchedule)
