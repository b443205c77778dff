"""The rows of one round, seen together: what every shared bound on γ would bring, and cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from specsched.policy.base import Arm
from specsched.policy.cost import Group, TrackedCosts
from specsched.records import NO_DRAFT

PLAIN = Arm(NO_DRAFT, 0)
_ONE_TOKEN = (1.0,)


@dataclass(frozen=True, slots=True)
class Lane:
    """One row's part."""

    draft_model: str = NO_DRAFT
    limit: int = 0
    """Largest γ that it takes; 0 where it cannot draft."""
    pinned: bool = False
    """It plays its limit whatever the bound: its caller said so."""
    tokens: Sequence[float] = _ONE_TOKEN
    """E[tokens of a round | γ], γ from 0 to `limit`. A pinned lane brings the same under every bound: not asked."""

    def gamma(self, bound: int) -> int:
        """Its γ under a bound."""
        return self.limit if self.pinned else min(bound, self.limit)

    def arm(self, bound: int) -> Arm:
        """Its arm under a bound."""
        gamma = self.gamma(bound)
        return Arm(self.draft_model, gamma) if gamma else PLAIN


@dataclass(slots=True)
class _Team:
    """Lanes of one draft: how many draft under any bound, and how many only under one above 0."""

    pinned: int = 0
    pinned_gamma: int = 0
    free: int = 0
    free_limit: int = 0

    def add(self, lane: Lane) -> None:
        if lane.pinned:
            self.pinned, self.pinned_gamma = self.pinned + 1, max(self.pinned_gamma, lane.limit)
        else:
            self.free, self.free_limit = self.free + 1, max(self.free_limit, lane.limit)

    def rows(self, bound: int) -> int:
        """Rows that draft under a bound."""
        return self.pinned + self.free if bound else self.pinned

    def gamma(self, bound: int) -> int:
        """The longest γ among them, for which the others wait."""
        gamma = min(self.free_limit, bound)
        return max(self.pinned_gamma, gamma)


@dataclass(slots=True)
class Batch:
    """Verification is laid out as rows × (max γ + 1): once one row pays for a position, it is there for all.

    So a round has one lever, the bound c: each row drafts up to it, and c maximises Σ E[N_i] / T (POLICY.md, "Per
    round"). Everything here runs once per bound and round, so it is plain Python over few numbers.
    """

    lanes: Sequence[Lane]
    costs: TrackedCosts
    context_tokens: float
    _teams: dict[str, _Team] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Sort the lanes into teams, once for all bounds."""
        for lane in self.lanes:
            if lane.limit:
                self._teams.setdefault(lane.draft_model, _Team()).add(lane)

    @property
    def highest(self) -> int:
        """Largest bound that changes anything."""
        return max((team.free_limit for team in self._teams.values()), default=0)

    def arms(self, bound: int) -> list[Arm]:
        """Every row's arm under a bound."""
        return [lane.arm(bound) for lane in self.lanes]

    def groups(self, bound: int) -> tuple[Group, ...]:
        """Rows by draft under a bound."""
        groups = (Group(draft, team.rows(bound), team.gamma(bound)) for draft, team in self._teams.items())
        return tuple(group for group in groups if group.gamma)

    def drafting(self, bound: int) -> dict[str, float]:
        """Draft → expected seconds of its part of the round."""
        context = self.context_tokens
        return {g.draft_model: self.costs.drafting(g.draft_model, g.rows, g.gamma, context) for g in self.groups(bound)}

    def goodput(self, bound: int) -> float:
        """Expected tokens per second under a bound."""
        tokens = sum(1.0 if lane.pinned else lane.tokens[min(bound, lane.limit)] for lane in self.lanes)
        return tokens / self.seconds(bound)

    def seconds(self, bound: int) -> float:
        """Expected seconds of the round under a bound."""
        seconds, width = 0.0, 0
        for draft, team in self._teams.items():
            gamma = team.gamma(bound)
            if gamma:
                seconds += self.costs.drafting(draft, team.rows(bound), gamma, self.context_tokens)
                width = max(width, gamma)
        return seconds + self.costs.verifying(len(self.lanes), width, self.context_tokens)

    def slowness(self, bound: int) -> float:
        """Expected time of the round ÷ a plain one's."""
        return self.seconds(bound) / self.costs.plain(len(self.lanes), self.context_tokens)
