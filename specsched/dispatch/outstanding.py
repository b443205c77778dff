"""What a dispatcher knows of its workers' load: the tokens that it has asked for and not yet seen, and since when."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from specsched.records import Chunk, Job, WorkerLoad


@dataclass(eq=False, slots=True)
class Ticket:
    """One running job."""

    footprint: int
    left: int
    unread: int
    """Prompt tokens of a job that has not said anything yet."""
    awaited: bool = False
    """Whether its reader waits for the worker; a reader that is busy elsewhere says nothing about the worker."""


class Outstanding:
    """The jobs that run on one worker, from when it became ready until it is lost."""

    def __init__(self, worker_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.worker_id = worker_id
        self._clock = clock
        self._tickets: set[Ticket] = set()
        self._awaited = 0
        self._heard = clock()
        self._rows_at_loss: int | None = None

    @property
    def tokens(self) -> int:
        """Tokens still to come."""
        return sum(ticket.left for ticket in self._tickets)

    @property
    def unread_tokens(self) -> int:
        """Prompt tokens of the jobs that have not said anything yet."""
        return sum(ticket.unread for ticket in self._tickets)

    @property
    def silent_seconds(self) -> float:
        """Time since the worker said something while somebody waited for it."""
        return self._clock() - self._heard if self._awaited else 0.0

    @property
    def rows_at_loss(self) -> int:
        """Jobs that ran when the worker was lost."""
        return len(self._tickets) if self._rows_at_loss is None else self._rows_at_loss

    @contextmanager
    def track(self, job: Job) -> Iterator[Ticket]:
        """Count a job while it runs; its reader waits."""
        said = len(job.generated_ids)
        ticket = Ticket(len(job.prompt_ids) + job.max_tokens, job.max_tokens - said, len(job.prompt_ids) + said)
        self.awaits(ticket)
        self._tickets.add(ticket)
        try:
            yield ticket
        finally:
            self._tickets.discard(ticket)
            self._rests(ticket)

    def awaits(self, ticket: Ticket) -> None:
        """Note that a job's reader waits for the worker."""
        if not self._awaited:  # else new jobs would excuse a worker that hangs
            self._heard = self._clock()
        ticket.awaited = True
        self._awaited += 1

    def delivered(self, ticket: Ticket, chunk: Chunk) -> None:
        """Count a chunk, which its reader takes away."""
        ticket.left -= len(chunk.token_ids)
        ticket.unread = 0
        self._rests(ticket)
        self._heard = self._clock()

    def excuse(self) -> None:
        """Count silence from now: it was we who did not listen."""
        self._heard = self._clock()

    def lost(self) -> None:
        """Note who was there when the worker was lost: they do not leave all at once."""
        self._rows_at_loss = self.rows_at_loss

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

    def _rests(self, ticket: Ticket) -> None:
        self._awaited -= ticket.awaited
        ticket.awaited = False


def as_reported(known: WorkerLoad, reported: WorkerLoad) -> WorkerLoad:
    """Complete what is known here with what only the worker knows."""
    return replace(
        known,
        kv_used_tokens=reported.kv_used_tokens,
        kv_capacity_tokens=reported.kv_capacity_tokens,
        kv_cached_tokens=reported.kv_cached_tokens,
        guard_budget_tokens=reported.guard_budget_tokens,
        guard_vetoes=reported.guard_vetoes,
        guard_budgets=reported.guard_budgets,
        profile_wanted=reported.profile_wanted,
    )
