"""A service's acceptance records as a run: decisions and rounds, in the order in which its policy lived them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from specsched.errors import SetupError
from specsched.policy.base import DecisionContext, Hindsight, Observation
from specsched.records import NO_DRAFT, AcceptanceRecord, CostGrid, CostPoint, DecisionRecord, DraftCost


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One decision with the rounds that ran under it."""

    decision: DecisionRecord
    rounds: tuple[AcceptanceRecord, ...]

    @property
    def draft(self) -> str:
        """With which it began."""
        return self.decision.plan.draft_model

    @property
    def seconds(self) -> float:
        """Its share of its rounds."""
        spent = (one.round.propose_seconds + one.round.verify_seconds for one in self.rounds)
        return sum(seconds / one.round.batch_size for seconds, one in zip(spent, self.rounds, strict=True))

    @property
    def plain_seconds(self) -> float:
        """What plain decoding would have taken for the same tokens, by the worker's profile."""
        return sum(one.committed_tokens * (one.plain_seconds or 0.0) / one.round.batch_size for one in self.rounds)


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """One run of a scheduler."""

    requests: tuple[LoggedRequest, ...]

    def events(self) -> list[DecisionRecord | AcceptanceRecord]:
        """Decisions and rounds in order: a decision stands before the round whose number it saw."""
        ordered: list[tuple[int, int, int, DecisionRecord | AcceptanceRecord]] = []
        for request in self.requests:
            ordered.append((request.decision.rounds_before, 0, request.decision.number, request.decision))
            ordered += [(one.number, 1, 0, one) for one in request.rounds]
        return [event for *_, event in sorted(ordered, key=lambda entry: entry[:3])]


def runs_of(records: Iterable[AcceptanceRecord]) -> list[LoggedRun]:
    """Sort records by run and request.

    Raises:
        SetupError: there are none, or none that says what plain decoding would have taken.
    """
    by_run: dict[str, dict[int, list[AcceptanceRecord]]] = {}
    for record in records:
        by_run.setdefault(record.run_id, {}).setdefault(record.decision.number, []).append(record)
    if not any(one.plain_seconds for run in by_run.values() for rounds in run.values() for one in rounds):
        raise SetupError("no acceptance records that can be compared with plain decoding")
    return [
        LoggedRun(tuple(LoggedRequest(rounds[0].decision, tuple(rounds)) for rounds in by_decision.values()))
        for by_decision in by_run.values()
    ]


def context_of(decision: DecisionRecord, costs: CostGrid) -> DecisionContext:
    """What the policy knew."""
    return DecisionContext(
        decision.class_probabilities,
        sampled=decision.sampled,
        coupled=decision.coupled,
        drafts=decision.drafts,
        costs=costs,
        hint=decision.hint,
        running_rows=decision.running_rows,
        prompt_tokens=decision.prompt_tokens,
        expected_tokens=decision.expected_tokens,
        tenant=decision.tenant,
    )


def observation_of(record: AcceptanceRecord) -> Observation:
    """What the policy was told."""
    decision = record.decision
    return Observation(
        decision.request_id,
        decision.class_probabilities,
        sampled=decision.sampled,
        coupled=decision.coupled,
        round=record.round,
        tenant=decision.tenant,
    )


def hindsight_of(record: AcceptanceRecord) -> list[Hindsight]:
    """What the policy was told right after the round."""
    decision = record.decision
    return [
        Hindsight(
            decision.request_id,
            decision.class_probabilities,
            sampled=decision.sampled,
            coupled=decision.coupled,
            outcome=outcome,
        )
        for outcome in record.hindsight
    ]


def fitted_costs(runs: Sequence[LoggedRun]) -> CostGrid:
    """Costs as the rounds themselves measured them, medians: the grid that the service decided by is not logged."""
    verify: dict[int, list[float]] = {}
    steps: dict[str, list[float]] = {}
    for run in runs:
        for request in run.requests:
            for one in request.rounds:
                played = one.round
                verify.setdefault(played.batch_size * (played.gamma + 1), []).append(played.verify_seconds)
                if played.draft_model != NO_DRAFT and played.gamma:
                    steps.setdefault(played.draft_model, []).append(played.propose_seconds / played.gamma)
    points = tuple(CostPoint(positions, 0, median(seconds)) for positions, seconds in sorted(verify.items()))
    drafts = tuple(DraftCost(name, 0.0, (CostPoint(1, 0, median(each)),)) for name, each in sorted(steps.items()))
    return CostGrid(0, points, drafts)
