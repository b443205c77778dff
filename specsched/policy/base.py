"""The policy's ports: what is decided per request, and what is decided per round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from specsched.records import ClassProbabilities, CostGrid, Counterfactual, Plan, RoundRecord, SpeculationHint


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """All that a policy may know when it decides: history is its own, the current round's logits are nobody's."""

    class_probabilities: ClassProbabilities
    sampled: bool
    """Temperature above 0. Greedy and sampled requests have tables of their own."""
    coupled: bool
    """Greedy or seeded: tokens are coupled to noise instead of rejection-sampled; tables of their own."""
    drafts: tuple[str, ...]
    """Drafts that may be used now, n-gram included, plain decoding not named."""
    costs: CostGrid
    """Of the worker that will run the request."""
    hint: SpeculationHint = field(default_factory=SpeculationHint)
    running_rows: int = 0
    """Rows that the request will be batched with."""
    prompt_tokens: int = 0
    expected_tokens: int = 256
    tenant: str = ""
    explain: bool = False
    """Whether the plan carries every arm's score. They take more time than the decision."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One round of one request, as the scheduler hands it back to the policy."""

    request_id: str
    class_probabilities: ClassProbabilities
    sampled: bool
    coupled: bool
    round: RoundRecord
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Hindsight:
    """What a draft would have brought to a request that is over and did not play it."""

    request_id: str
    class_probabilities: ClassProbabilities
    sampled: bool
    coupled: bool
    outcome: Counterfactual


@runtime_checkable
class LearnsFromHindsight(Protocol):
    """A policy that learns of drafts also where they were not played."""

    def look_back(self, hindsight: Hindsight) -> None:
        """Learn from one draft in hindsight."""
        ...


class Policy(Protocol):
    """Decides per request, learns per round. Belongs to the scheduler; not thread-safe; never blocks."""

    def decide(self, context: DecisionContext) -> Plan:
        """Choose draft and gamma for one request, and say why (`Plan.scores`)."""
        ...

    def observe(self, observation: Observation) -> None:
        """Learn from one round."""
        ...


@dataclass(frozen=True, slots=True)
class Arm:
    """A draft and a lookahead; ("none", 0) is plain decoding."""

    draft_model: str
    gamma: int


@dataclass(frozen=True, slots=True)
class RowView:
    """What a round controller may know of a row before a round."""

    request_id: str
    context_tokens: int
    """Tokens of prompt and completion so far."""
    remaining_tokens: int
    """Until max_tokens or the end of the context; no gamma above remaining_tokens - 1 can pay."""
    tenant: str = ""
    """On whose behalf: whose guard it is under."""


@runtime_checkable
class Guarded(Protocol):
    """A round controller that keeps accounts against being slower than plain decoding."""

    @property
    def credits(self) -> Mapping[str, float]:
        """What each tenant's account holds, in tokens."""
        ...

    @property
    def vetoes(self) -> int:
        """Rounds in which one of them forbade speculation."""
        ...


@runtime_checkable
class Watchful(Protocol):
    """A round controller that holds rounds against the profile of its worker."""

    @property
    def profile_wanted(self) -> bool:
        """Whether rounds have cost clearly more than predicted, so that costs should be measured anew."""
        ...

    def reprice(self, costs: CostGrid) -> None:
        """Go on with costs that were measured anew."""
        ...


@runtime_checkable
class Retrospective(Protocol):
    """A round controller that has drafts held against requests that are over, within a share of its worker's time."""

    def rivals(self, request_id: str, context_tokens: int) -> tuple[str, ...]:
        """Drafts that should take in a request's whole text and say what they would have brought; before its `end`."""
        ...

    def looked_back(self, request_id: str, context_tokens: int, seconds: float, outcome: Counterfactual) -> None:
        """Learn what one of them says, and account for the time that it took, before its `end`."""
        ...


class RoundController(Protocol):
    """Chooses the arm of every row, every round, within the rows' plans. Belongs to a worker's engine thread."""

    def begin(self, request_id: str, plan: Plan, *, sampled: bool) -> None:
        """Take a row with its plan."""
        ...

    def choose(self, rows: Sequence[RowView]) -> list[Arm]:
        """Choose one arm per row for the round that comes, in the rows' order."""
        ...

    def observe(self, request_id: str, round_record: RoundRecord) -> None:
        """Learn from the row's round."""
        ...

    def end(self, request_id: str) -> None:
        """Forget a row."""
        ...


@runtime_checkable
class Heir(Protocol):
    """A round controller that takes over what another one has learnt of their worker."""

    def inherit(self, before: RoundController) -> None:
        """Take over from the controller of other settings; one of another kind may have nothing to give."""
        ...
