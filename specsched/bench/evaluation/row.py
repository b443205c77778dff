"""A request that runs: what becomes of the arms that it plays."""

from dataclasses import dataclass, field

import numpy as np

from specsched.bench.evaluation.world import World, WorldRequest
from specsched.policy.base import Arm, RowView
from specsched.policy.counterfactual import Retraced
from specsched.records import NO_DRAFT, Counterfactual, RoundRecord


@dataclass(slots=True)
class Row:
    """Its truth, and how far it has come."""

    index: int
    request: WorldRequest
    drafts: tuple[str, ...]
    limit: int
    """Tokens that its caller asked for."""
    stands: list[list[int]]
    """Drafted tokens that stand, by draft and place."""
    offered: list[list[int]]
    steps: list[list[int]]
    name: str
    """Its id."""
    size: int
    """Tokens of its completion."""
    done: int = 0
    taken_in: dict[str, int] = field(default_factory=dict)
    """Draft → tokens that it has seen."""

    @classmethod
    def of(cls, world: World, index: int) -> "Row":
        """Open a request of a world."""
        request = world.requests[index]
        path = request.path
        return cls(
            index=index,
            request=request,
            drafts=world.drafts,
            limit=world.max_tokens,
            stands=path.toss(world.coins(index)).tolist(),
            offered=path.offered.tolist(),
            steps=path.steps.tolist(),
            name=str(index),
            size=path.tokens,
        )

    @property
    def context(self) -> int:
        """Tokens of prompt and completion so far."""
        return self.request.prompt_tokens + self.done

    @property
    def view(self) -> RowView:
        """What a round controller may know of it."""
        return RowView(self.name, self.context, self.limit - self.done)

    def behind(self, draft: str) -> int:
        """Tokens that a draft has yet to take in."""
        return self.context - self.taken_in.get(draft, 0)

    def bounded(self, arm: Arm) -> Arm:
        """Cut an arm to what it can still take, as an engine does."""
        gamma = min(arm.gamma, self.limit - self.done - 1)
        return Arm(arm.draft_model, gamma) if gamma > 0 else Arm(NO_DRAFT, 0)

    def drafted(self, arm: Arm) -> int:
        """Tokens that the draft really proposes."""
        return self._at(self.offered, arm)

    def stepped(self, arm: Arm) -> int:
        """Steps that this takes the draft."""
        return self._at(self.steps, arm)

    def play(self, arm: Arm, rows: int, propose_seconds: float, verify_seconds: float) -> RoundRecord:
        """Return what a round with this arm shows; `commit` makes it last."""
        gamma, left = self.drafted(arm), self.size - self.done
        stand = min(gamma, self.stands[self.drafts.index(arm.draft_model)][self.done]) if gamma else 0
        accepted = min(stand, left)
        return RoundRecord(
            draft_model=arm.draft_model,
            gamma=gamma,
            num_accepted=accepted,
            batch_size=rows,
            propose_seconds=propose_seconds,
            verify_seconds=verify_seconds,
            censored=stand + 1 > left,
            planned_gamma=arm.gamma,
            overlaps=self._overlaps(arm, min(stand + 1, gamma, left)),
        )

    def hindsight(self, draft: str) -> Counterfactual:
        """What a draft would have brought from every place of the completion, as an engine says it."""
        path, number = self.request.path, self.drafts.index(draft)
        rounds = max(0, self.done - path.max_gamma + 1)
        stand = np.arange(path.max_gamma) < np.array(self.stands[number][:rounds], dtype=np.int64)[:, None]
        weights = path.hazards[number, :rounds] if self.request.sampled else stand.astype(np.float64)
        return Retraced.of(weights, np.array(self.offered[number][:rounds], dtype=np.int64)).outcome(draft)

    def commit(self, record: RoundRecord) -> int:
        """Append a round's tokens; returns how many."""
        tokens = min(record.num_accepted + 1, self.size - self.done)
        self.done += tokens
        if record.planned_gamma:
            self.taken_in[record.draft_model] = self.context
        return tokens

    def _at(self, counts: list[list[int]], arm: Arm) -> int:
        return min(arm.gamma, counts[self.drafts.index(arm.draft_model)][self.done]) if arm.gamma else 0

    def _overlaps(self, arm: Arm, positions: int) -> tuple[float, ...]:
        overlaps = self.request.path.overlaps
        if overlaps is None or positions == 0:
            return ()
        return tuple(overlaps[self.drafts.index(arm.draft_model), self.done, :positions].tolist())
