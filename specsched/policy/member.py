"""A row as its round controller knows it."""

from dataclasses import dataclass, field

from specsched.policy.base import RowView
from specsched.policy.batch import Lane
from specsched.policy.offset import RequestHazards
from specsched.policy.settings import PolicySettings
from specsched.records import NO_DRAFT, Plan, RoundRecord


@dataclass(slots=True)
class Member:
    """What its plan allows, what its rounds have shown, and the draft that serves it now."""

    plan: Plan
    hazards: RequestHazards
    draft: str
    follows: bool
    """Whether the controller may choose for it: its caller did not, and there is something to choose."""
    sampled: bool = False
    rounds: int = 0
    made: int = 0
    """Tokens that it was seen to commit."""
    remaining: int = 0
    """Tokens that its caller allows it yet."""
    started: set[str] = field(default_factory=set)
    """Drafts whose first round, the one that takes in the prompt, is over."""

    @classmethod
    def of(cls, plan: Plan, settings: PolicySettings, *, sampled: bool) -> "Member":
        """Begin with what the plan believes."""
        hazards = RequestHazards(plan.candidates, settings)
        return cls(plan, hazards, _first_draft(plan), not plan.pinned and bool(plan.candidates), sampled)

    def observe(self, record: RoundRecord) -> None:
        """Learn from one of its rounds."""
        self.hazards.observe(record)
        self.made += record.num_accepted + 1
        self.remaining -= record.num_accepted + 1

    def turn(self, settings: PolicySettings) -> bool:
        """Whether its draft is looked at again: every few rounds, and sooner at first, where a round tells most."""
        rounds, every = self.rounds, settings.reconsider_rounds
        return self.follows and (rounds % every == 0 or rounds in (every // 4, every // 2))

    def lane(self, row: RowView, draft: str | None = None) -> Lane:
        """Its part of the round that comes, with another draft if one is named."""
        room = max(0, row.remaining_tokens - 1)
        if not self.follows:
            return Lane(self.plan.draft_model, min(self.plan.gamma, room), pinned=True)
        draft = draft or self.draft
        limit = 0 if draft == NO_DRAFT else min(self.plan.max_gamma, room)
        return Lane(draft, limit, tokens=self.hazards.tokens(draft)[: limit + 1]) if limit else Lane(draft)


def _first_draft(plan: Plan) -> str:
    """The plan's draft; a plan that starts plain still has one to come back with: its best."""
    if plan.draft_model != NO_DRAFT or not plan.candidates:
        return plan.draft_model
    return max(plan.candidates, key=lambda candidate: candidate.hazards[0].mean).draft_model
