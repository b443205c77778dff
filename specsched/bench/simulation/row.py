"""A request that runs: what becomes of the arms that it plays."""

from dataclasses import dataclass, field

from specsched.bench.simulation.world import DRAFTS, MAX_TOKENS, SimulatedRequest
from specsched.policy.base import Arm, RowView
from specsched.records import NO_DRAFT, RoundRecord


@dataclass(slots=True)
class Row:
    """Its truth, and how far it has come."""

    index: int
    request: SimulatedRequest
    hazards: list[list[float]]
    coins: list[list[float]]
    done: int = 0
    taken_in: dict[str, int] = field(default_factory=dict)
    """Draft → tokens that it has seen."""

    @property
    def name(self) -> str:
        """Its id."""
        return str(self.index)

    @property
    def context(self) -> int:
        """Tokens of prompt and completion so far."""
        return self.request.prompt_tokens + self.done

    @property
    def view(self) -> RowView:
        """What a round controller may know of it."""
        return RowView(self.name, self.context, MAX_TOKENS - self.done)

    def behind(self, draft: str) -> int:
        """Tokens that a draft has yet to take in."""
        return self.context - self.taken_in.get(draft, 0)

    def bounded(self, arm: Arm) -> Arm:
        """Cut an arm to what it can still take, as an engine does."""
        gamma = min(arm.gamma, MAX_TOKENS - self.done - 1)
        return Arm(arm.draft_model, gamma) if gamma > 0 else Arm(NO_DRAFT, 0)

    def play(self, arm: Arm, rows: int, propose_seconds: float, verify_seconds: float) -> RoundRecord:
        """Return what a round with this arm shows; `commit` makes it last."""
        accepted, left = self._accepted(arm), self.request.completion_tokens - self.done
        return RoundRecord(
            draft_model=arm.draft_model,
            gamma=arm.gamma,
            num_accepted=min(accepted, left),
            batch_size=rows,
            propose_seconds=propose_seconds,
            verify_seconds=verify_seconds,
            censored=accepted + 1 > left,
            planned_gamma=arm.gamma,
        )

    def commit(self, record: RoundRecord) -> int:
        """Append a round's tokens; returns how many."""
        tokens = min(record.num_accepted + 1, self.request.completion_tokens - self.done)
        self.done += tokens
        if record.gamma:
            self.taken_in[record.draft_model] = self.context
        return tokens

    def _accepted(self, arm: Arm) -> int:
        """Drafted tokens that stand."""
        if arm.gamma == 0:
            return 0
        draft = DRAFTS.index(arm.draft_model)
        hazards, coins = self.hazards[draft], self.coins[draft]
        for j in range(arm.gamma):
            if coins[self.done + j] >= hazards[j]:
                return j
        return arm.gamma
