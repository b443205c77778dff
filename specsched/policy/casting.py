"""Which draft serves which row: one for all, or several where that pays although they run one after the other.

A row that changes its draft changes the round of all rows: it is charged what the batch's time really changes by
(POLICY.md, "Cost"), and the text that its new draft has to take in.
"""

from collections.abc import Iterator, Mapping, Sequence

from specsched.policy.base import RowView
from specsched.policy.batch import Batch
from specsched.policy.cost import TrackedCosts
from specsched.policy.member import Member
from specsched.policy.settings import PolicySettings
from specsched.records import NO_DRAFT

Change = Mapping[int, str]
"""Row, by its place in the batch → its new draft."""


class Casting:
    """One look at the drafts of the rows that are there."""

    def __init__(
        self,
        members: Sequence[Member],
        rows: Sequence[RowView],
        costs: TrackedCosts,
        settings: PolicySettings,
        left: float,
    ) -> None:
        """Look at rows with their members; `left` is how many tokens they are expected to bring yet, together."""
        self._members = members
        self._rows = rows
        self._costs = costs
        self._settings = settings
        self._context = sum(row.context_tokens for row in rows) / len(rows)
        self._lanes = [member.lane(row) for member, row in zip(members, rows, strict=True)]
        self._left = left

    def improve(self, due: Sequence[int]) -> None:
        """Make the change that saves most, if any saves enough: of one row that is due, or of all to one draft."""
        now = self._seconds({})
        best: tuple[float, Change] = (0.0, {})
        for change in self._changes(due):
            saved = now - self._seconds(change)
            share = len(change) / len(self._rows)
            if saved > self._settings.switch_gain * share * (now - saved):
                best = max(best, (saved - self._catch_up(change), change), key=lambda each: each[0])
        for place, draft in best[1].items():
            self._members[place].draft = draft

    def _changes(self, due: Sequence[int]) -> Iterator[Change]:
        alone = len(self._rows) == 1
        for place in due:
            member = self._members[place]
            for draft in (*member.hazards.drafts, *(() if alone else (NO_DRAFT,))):
                if draft != member.draft:
                    yield {place: draft}
        if not alone:
            free = [place for place, member in enumerate(self._members) if member.follows]
            for draft in {draft: None for place in free for draft in self._members[place].hazards.drafts}:
                yield dict(self._to_one(draft, free))

    def _to_one(self, draft: str, free: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Those that do not know the draft decode plainly beside it."""
        for place in free:
            member = self._members[place]
            wanted = draft if draft in member.hazards.drafts else NO_DRAFT
            if wanted != member.draft:
                yield place, wanted

    def _seconds(self, change: Change) -> float:
        """Expected time of all that is left."""
        lanes = list(self._lanes)
        for place, draft in change.items():
            lanes[place] = self._members[place].lane(self._rows[place], draft)
        return self._left / max(Batch(lanes, self._costs, self._context).goodputs())

    def _catch_up(self, change: Change) -> float:
        """Seconds in which new drafts take in their rows' texts."""
        return sum(self._costs.prefill(draft, self._rows[place].context_tokens) for place, draft in change.items())
