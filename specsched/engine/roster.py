"""Who runs and who waits: rows and jobs of one engine, within its limits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from specsched.engine.base import Deliver
from specsched.engine.row import Row
from specsched.engine.settings import EngineSettings
from specsched.records import Job


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that has no row yet."""

    job: Job
    deliver: Deliver
    since: float


class Roster:
    """Rows in the order in which they joined, jobs in the order in which they came; both by request id."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self.rows: dict[str, Row] = {}
        self.waiting: dict[str, Waiting] = {}

    def __contains__(self, request_id: str) -> bool:
        return request_id in self.rows or request_id in self.waiting

    def join(self, open_row: Callable[[Waiting], Row]) -> None:
        """Let jobs become rows, first come first served, while rows and KV tokens last."""
        while (first := self._first_waiting()) is not None and self._fits(first.job):
            del self.waiting[first.job.request_id]
            self.rows[first.job.request_id] = open_row(first)

    def unread(self) -> Iterator[Row]:
        """Rows whose prompt the target has not taken in yet, oldest first."""
        return (row for row in self.rows.values() if row.unread > 1 and not row.paused)

    def ready(self) -> list[Row]:
        """Rows for the next round, in the order in which they lie in memory."""
        rows = [row for row in self.rows.values() if row.unread == 1 and not row.paused]
        return sorted(rows, key=lambda row: row.kv.index)

    @property
    def busy(self) -> bool:
        """Whether a step would do something."""
        first = self._first_waiting()
        return any(not row.paused for row in self.rows.values()) or (first is not None and self._fits(first.job))

    @property
    def kv_tokens(self) -> int:
        """KV tokens that the rows may come to."""
        return sum(_footprint(row.job) for row in self.rows.values())

    @property
    def outstanding_tokens(self) -> int:
        """Tokens still to come, of rows and of waiting jobs."""
        queued = sum(w.job.max_tokens - len(w.job.generated_ids) for w in self.waiting.values())
        return queued + sum(row.remaining for row in self.rows.values())

    def _first_waiting(self) -> Waiting | None:
        return next(iter(self.waiting.values()), None)

    def _fits(self, job: Job) -> bool:
        room = self._settings.kv_capacity_tokens - self.kv_tokens
        return len(self.rows) < self._settings.max_rows and (not self.rows or _footprint(job) <= room)


def _footprint(job: Job) -> int:
    return len(job.prompt_ids) + job.max_tokens
