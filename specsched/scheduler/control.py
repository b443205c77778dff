"""What an operator may ask of a running service, beside its configuration."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog

from specsched.classify.feedback import ClassFeedback
from specsched.errors import InvalidRequest, Unavailable, Violation
from specsched.policy.memory import EVERY_CLASS, Cell
from specsched.policy.table import ArmCell, Table
from specsched.records import ModelInfo
from specsched.scheduler.board import DraftState
from specsched.scheduler.scheduler import Scheduler

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PolicyView:
    """The table of arms."""

    policy: str
    """Its kind."""
    version: str
    """Of what it knows: grows with all that is observed."""
    rows: tuple[ArmCell, ...]


class Control:
    """Turns what the scheduler lets be turned."""

    def __init__(self, scheduler: Scheduler, drafts: Sequence[str]) -> None:
        """Take a scheduler.

        Args:
            scheduler: Of the service.
            drafts: Of the pool.
        """
        self._scheduler = scheduler
        self._steering = scheduler.steering
        self._pool = tuple(drafts)

    @property
    def feedback(self) -> ClassFeedback:
        """What callers' labels do to the classifier."""
        return self._scheduler.advisor.feedback

    async def policy(self) -> PolicyView:
        """Return what is known of every arm."""
        steering = self._steering
        try:
            costs = self._scheduler.worker().costs
        except Unavailable:
            costs = None
        table = Table(steering.snapshot.policy, steering.learnt, costs, steering.traffic)
        rows = await asyncio.to_thread(table.rows)
        return PolicyView(steering.snapshot.kind, steering.version, rows)

    def learnt(self) -> tuple[Cell, ...]:
        """Return all evidence."""
        return self._steering.learnt

    def learn(self, cells: Sequence[Cell], *, replace_all: bool) -> None:
        """Take evidence up, beside what is known or in its place."""
        known = () if replace_all else self._steering.learnt
        self._steering.begin_anew((*known, *cells))
        log.info("learned_state_imported", cells=len(cells), replace=replace_all)

    def forget(self, prompt_class: str | None, draft_model: str | None) -> int:
        """Forget what is known of a class, a draft, or both; None stands for all. Returns the number of cells.

        Raises:
            InvalidRequest: nobody knows such a class or draft.
        """
        known = self._steering.learnt
        classes = {*self._scheduler.prompt_classes, *(cell.prompt_class for cell in known)} - {EVERY_CLASS}
        self._refuse(
            _unknown("prompt_class", prompt_class, classes),
            _unknown("draft_model", draft_model, {*self._drafts(), *(c.draft_model for c in known)}),
        )
        kept = [
            cell
            for cell in known
            if prompt_class not in (None, cell.prompt_class) or draft_model not in (None, cell.draft_model)
        ]
        self._steering.begin_anew(kept)
        log.info("learned_state_forgotten", cells=len(known) - len(kept), prompt_class=prompt_class, draft=draft_model)
        return len(known) - len(kept)

    @property
    def speculation(self) -> bool:
        """Whether anybody speculates."""
        return self._steering.board.speculation

    async def set_speculation(self, *, enabled: bool) -> None:
        """Let everybody speculate, or nobody from the next round on."""
        self._steering.board.speculation = enabled
        log.info("speculation_switched", enabled=enabled)
        await self._steering.switch()

    def drafts(self) -> tuple[ModelInfo, ...]:
        """Return every draft with its state; raises Unavailable without a ready worker."""
        return self._steering.board.described(self._scheduler.worker().drafts)

    async def set_draft_state(self, draft_model: str, state: DraftState | None) -> None:
        """Let a draft be used, or not; returns when every ready worker has taken it in.

        Raises:
            InvalidRequest: no such draft, no such state.
        """
        no_state = [] if state else [Violation("state", f"is none of {', '.join(DraftState)}")]
        self._refuse(_unknown("draft_model", draft_model, self._drafts()), no_state)
        assert state is not None, "refused otherwise"
        self._steering.board.say(draft_model, state)
        log.info("draft_state_set", draft=draft_model, state=state.value)
        await self._steering.switch()

    async def load_draft(self, draft_model: str) -> None:
        """Have every ready worker load a draft of the manifest, or its new version; raises what they raise."""
        await self._steering.load_draft(draft_model)

    async def unload_draft(self, draft_model: str) -> None:
        """Have every ready worker free a draft's memory; raises what they raise."""
        await self._steering.unload_draft(draft_model)

    def _drafts(self) -> set[str]:
        return {*self._pool, *(draft.id for draft in self._told())}

    def _told(self) -> tuple[ModelInfo, ...]:
        try:
            return self._scheduler.worker().drafts
        except Unavailable:
            return ()

    def _refuse(self, *found: Iterator[Violation] | Sequence[Violation]) -> None:
        violations = [violation for each in found for violation in each]
        if violations:
            raise InvalidRequest(violations)


def _unknown(field: str, name: str | None, known: set[str]) -> Iterator[Violation]:
    if name is not None and name not in known:
        yield Violation(field, f"{name!r} is none of {', '.join(sorted(known)) or 'none'}")
