"""Who runs and who waits: rows and jobs of one engine, within its limits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from specsched.engine.base import Deliver
from specsched.engine.row import Row
from specsched.engine.settings import EngineSettings
from specsched.records import Job

MOST_OVERTAKEN = 16
"""Jobs that may be let in before one that does not fit yet: smaller ones use the room that it cannot."""


@dataclass(slots=True)
class Waiting:
    """A job that has no row yet."""

    job: Job
    deliver: Deliver
    since: float
    overtaken: int = 0
    """Jobs that came later and were let in before."""


class Roster:
    """Rows in the order in which they joined, jobs in the order in which they came; both by request id."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self.rows: dict[str, Row] = {}
        self.waiting: dict[str, Waiting] = {}

    def __contains__(self, request_id: str) -> bool:
        return request_id in self.rows or request_id in self.waiting

    def join(self, open_row: Callable[[Waiting], Row]) -> bool:
        """Let jobs become rows, first come first served, while rows and KV tokens last; returns whether any did.

        A job that does not fit is overtaken by some that do, and then waits no longer for the room to come.
        """
        before = len(self.rows)
        while (chosen := self._next_to_join()) is not None:
            for overtaken in self._waiting_before(chosen):
                overtaken.overtaken += 1
            del self.waiting[chosen.job.request_id]
            self.rows[chosen.job.request_id] = open_row(chosen)
        return len(self.rows) > before

    def unread(self) -> list[Row]:
        """Rows whose prompt the target has not taken in yet, oldest first."""
        return [row for row in self.rows.values() if row.unread > 1 and not row.paused]

    def ready(self) -> list[Row]:
        """Rows for the next round, in the order in which they lie in memory."""
        rows = [row for row in self.rows.values() if row.unread == 1 and not row.paused]
        return sorted(rows, key=lambda row: row.kv.index)

    @property
    def busy(self) -> bool:
        """Whether a step would do something."""
        return any(not row.paused for row in self.rows.values()) or self._next_to_join() is not None

    @property
    def kv_tokens(self) -> int:
        """KV tokens that the rows may come to."""
        return sum(_footprint(row.job) for row in self.rows.values())

    @property
    def kv_room_tokens(self) -> int:
        """KV tokens that no row may come to."""
        return self._settings.kv_capacity_tokens - self.kv_tokens

    @property
    def outstanding_tokens(self) -> int:
        """Tokens still to come, of rows and of waiting jobs."""
        queued = sum(w.job.max_tokens - len(w.job.generated_ids) for w in self.waiting.values())
        return queued + sum(row.remaining for row in self.rows.values())

    def _next_to_join(self) -> Waiting | None:
        """Return the first job that fits, up to one that was overtaken often enough."""
        if len(self.rows) >= self._settings.max_rows:
            return None
        for waiting in self.waiting.values():
            if self._fits(waiting.job):
                return waiting
            if waiting.overtaken >= MOST_OVERTAKEN:
                return None
        return None

    def _waiting_before(self, chosen: Waiting) -> Iterator[Waiting]:
        return takewhile(lambda waiting: waiting is not chosen, self.waiting.values())

    def _fits(self, job: Job) -> bool:
        return not self.rows or _footprint(job) <= self.kv_room_tokens


def _footprint(job: Job) -> int:
    return len(job.prompt_ids) + job.max_tokens
