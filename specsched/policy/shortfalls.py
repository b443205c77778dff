"""How often drafts draft fewer tokens than they were asked for, by finding nothing or by stopping early."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from specsched.policy.memory import EVERY_CLASS, Cell
from specsched.records import Counterfactual, RoundRecord

_KEPT = 0.999
"""What is left of a draft's evidence after a round of it."""
_PRIOR_ROUNDS = 8.0
"""Rounds in which a position is taken to be missed as often as the one before it, and the first one never."""


@dataclass(slots=True)
class _Seen:
    """Discounted rounds of one draft, by position; a round that was asked for fewer says nothing beyond."""

    failed: list[float] = field(default_factory=list)
    """In which not all tokens up to the position were drafted and accepted."""
    missed: list[float] = field(default_factory=list)
    """Of these, in which it was not drafted."""

    def observe(self, record: RoundRecord) -> None:
        """Take in one more round."""
        self._age(_KEPT)
        self._reach(record.planned_gamma)
        for j in range(record.num_accepted, record.planned_gamma):
            self.failed[j] += 1
        for j in range(record.gamma, record.planned_gamma):
            self.missed[j] += 1

    def look_back(self, outcome: Counterfactual) -> None:
        """Take in all of a completion's."""
        self._age(_KEPT**outcome.rounds)
        self._reach(len(outcome.accepted))
        for j, accepted in enumerate(outcome.accepted):
            self.failed[j] += outcome.rounds - accepted
        for j, undrafted in enumerate(outcome.undrafted):
            self.missed[j] += undrafted

    def add(self, position: int, drafted: float, missed: float) -> None:
        """Take in evidence from elsewhere, signed; what is taken back may have faded meanwhile."""
        self._reach(position)
        self.missed[position - 1] = max(0.0, self.missed[position - 1] + missed)
        self.failed[position - 1] = max(self.missed[position - 1], self.failed[position - 1] + drafted + missed)

    def _age(self, kept: float) -> None:
        self.failed = [kept * each for each in self.failed]
        self.missed = [kept * each for each in self.missed]

    def _reach(self, positions: int) -> None:
        more = [0.0] * (positions - len(self.failed))
        self.failed, self.missed = self.failed + more, self.missed + more

    def shares(self) -> tuple[float, ...]:
        """Missed ÷ failed by position, each with the one before as its prior; nothing where nothing was missed."""
        if not any(self.missed):
            return ()
        share, found = 0.0, []
        for failed, missed in zip(self.failed, self.missed, strict=True):
            share = (missed + _PRIOR_ROUNDS * share) / (failed + _PRIOR_ROUNDS)
            found.append(share)
        return tuple(found)


class Shortfalls:
    """ψ_j = P(fewer than j tokens are drafted | not all of the first j are drafted and accepted), by draft.

    So P(fewer than j are drafted) = ψ_j · (1 − S_j): it follows the ease of classes and requests with S, and what is
    accepted is always paid for. Only time depends on ψ; E[tokens] knows already, for a position that is not drafted
    counts as a miss (`outcomes`): S_j = P(the first j are drafted and accepted).
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._known: dict[str, tuple[float, ...]] = {}

    def observe(self, record: RoundRecord) -> None:
        """Learn from one row's round; plain ones say nothing, nor do those that the completion's end cut short."""
        if record.planned_gamma and not record.censored:
            self._seen.setdefault(record.draft_model, _Seen()).observe(record)
            self._known.pop(record.draft_model, None)

    def look_back(self, outcome: Counterfactual) -> None:
        """Learn from the rounds that a draft would have begun along a completion."""
        self._seen.setdefault(outcome.draft_model, _Seen()).look_back(outcome)
        self._known.pop(outcome.draft_model, None)

    def export(self, versions: Mapping[str, str]) -> Iterator[Cell]:
        """Return the evidence on drafts that fell short; `versions` maps drafts to the hashes of their weights."""
        for draft, seen in self._seen.items():
            version, told = versions.get(draft, ""), any(seen.missed)
            for position, (failed, missed) in enumerate(zip(seen.failed, seen.missed, strict=True), start=1):
                if told and failed:
                    yield Cell(
                        sampled=False,
                        coupled=False,
                        draft_model=draft,
                        draft_version=version,
                        prompt_class=EVERY_CLASS,
                        position=position,
                        accepted=failed - missed,
                        rejected=missed,
                    )

    def add(self, cell: Cell, share: float) -> None:
        """Add a share of evidence from elsewhere."""
        seen = self._seen.setdefault(cell.draft_model, _Seen())
        seen.add(cell.position, share * cell.accepted, share * cell.rejected)
        self._known.pop(cell.draft_model, None)

    def of(self, draft_model: str, positions: int) -> Sequence[float]:
        """ψ_j, j from 1 to `positions`; nothing where a draft never fell short."""
        found = self._known.get(draft_model)
        if found is None:
            seen = self._seen.get(draft_model)
            found = self._known[draft_model] = seen.shares() if seen else ()
        return found[:positions] + found[-1:] * (positions - len(found))
