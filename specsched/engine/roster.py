"""Who runs and who waits: rows and jobs of one engine, within its limits."""

from collections import deque
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
    """Rows in the order in which they joined, jobs in the order in which they came."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self.rows: list[Row] = []
        self.waiting: deque[Waiting] = deque()

    def __contains__(self, request_id: str) -> bool:
        return self.find(request_id) is not None or any(w.job.request_id == request_id for w in self.waiting)

    def find(self, request_id: str) -> Row | None:
        """Return the running row of a request."""
        return next((row for row in self.rows if row.job.request_id == request_id), None)

    def withdraw(self, request_id: str) -> Waiting | None:
        """Take a job out of the queue."""
        entry = next((w for w in self.waiting if w.job.request_id == request_id), None)
        if entry is not None:
            self.waiting.remove(entry)
        return entry

    def join(self, open_row: Callable[[Waiting], Row]) -> None:
        """Let jobs become rows, first come first served, while rows and KV tokens last."""
        while self.waiting and self._fits(self.waiting[0].job):
            self.rows.append(open_row(self.waiting.popleft()))

    def unread(self) -> Iterator[Row]:
        """Rows whose prompt the target has not taken in yet, oldest first."""
        return (row for row in self.rows if row.unread > 1 and not row.paused)

    def ready(self) -> list[Row]:
        """Rows for the next round, in the order in which they lie in memory."""
        rows = [row for row in self.rows if row.unread == 1 and not row.paused]
        return sorted(rows, key=lambda row: row.kv.index)

    @property
    def busy(self) -> bool:
        """Whether a step would do something."""
        return any(not row.paused for row in self.rows) or bool(self.waiting and self._fits(self.waiting[0].job))

    @property
    def kv_tokens(self) -> int:
        """KV tokens that the rows may come to."""
        return sum(_footprint(row.job) for row in self.rows)

    @property
    def outstanding_tokens(self) -> int:
        """Tokens still to come, of rows and of waiting jobs."""
        queued = sum(w.job.max_tokens - len(w.job.generated_ids) for w in self.waiting)
        return queued + sum(row.remaining for row in self.rows)

    def _fits(self, job: Job) -> bool:
        room = self._settings.kv_capacity_tokens - self.kv_tokens
        return len(self.rows) < self._settings.max_rows and (not self.rows or _footprint(job) <= room)


def _footprint(job: Job) -> int:
    return len(job.prompt_ids) + job.max_tokens
