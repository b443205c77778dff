"""What a dispatcher knows of its workers' load: the tokens that it has asked for and not yet seen."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from specsched.records import Chunk, Job, WorkerLoad


@dataclass(eq=False, slots=True)
class Ticket:
    """One running job."""

    footprint: int
    left: int

    def delivered(self, chunk: Chunk) -> None:
        """Count a chunk."""
        self.left -= len(chunk.token_ids)


class Outstanding:
    """The jobs that run on one worker."""

    def __init__(self, worker_id: str) -> None:
        self.worker_id = worker_id
        self._tickets: set[Ticket] = set()

    @property
    def tokens(self) -> int:
        """Tokens still to come."""
        return sum(ticket.left for ticket in self._tickets)

    @contextmanager
    def track(self, job: Job) -> Iterator[Ticket]:
        """Count a job while it runs."""
        ticket = Ticket(len(job.prompt_ids) + job.max_tokens, job.max_tokens - len(job.generated_ids))
        self._tickets.add(ticket)
        try:
            yield ticket
        finally:
            self._tickets.discard(ticket)

    def load(self, max_rows: int) -> WorkerLoad:
        """Sum up; rows beyond the worker's limit wait there."""
        rows = len(self._tickets)
        return WorkerLoad(
            worker_id=self.worker_id,
            running_rows=min(rows, max_rows),
            waiting_rows=max(0, rows - max_rows),
            outstanding_tokens=self.tokens,
            kv_used_tokens=sum(ticket.footprint for ticket in self._tickets),
        )


def as_reported(known: WorkerLoad, reported: WorkerLoad) -> WorkerLoad:
    """Complete what is known here with what only the worker knows."""
    return replace(
        known,
        kv_used_tokens=reported.kv_used_tokens,
        kv_capacity_tokens=reported.kv_capacity_tokens,
        kv_cached_tokens=reported.kv_cached_tokens,
        guard_budget_tokens=reported.guard_budget_tokens,
        guard_vetoes=reported.guard_vetoes,
    )
