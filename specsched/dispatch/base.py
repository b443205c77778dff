"""The dispatcher's port."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from specsched.records import Chunk, DraftSwitches, Job, WorkerInfo, WorkerLoad


class Dispatcher(Protocol):
    """Reaches the workers. Belongs to the scheduler's event loop."""

    def workers(self) -> Sequence[WorkerInfo]:
        """The workers that are ready now; empty while none is."""
        ...

    async def ready(self) -> None:
        """Return as soon as a worker is ready; the caller sets the time limit."""
        ...

    def loads(self) -> Sequence[WorkerLoad]:
        """How busy each ready worker is, as far as this scheduler knows."""
        ...

    async def switch(self, switches: DraftSwitches) -> None:
        """Have every worker use only these drafts from its next round on, also those that become ready later.

        Returns when the ready ones have taken it in; one that does not answer takes it in before it is ready again.
        """
        ...

    async def load_draft(self, draft_model: str) -> None:
        """Have every ready worker load a draft of the manifest beside its running rows.

        Raises:
            Unavailable: no worker is ready.
            SpecschedError: a worker refused, or could not.
        """
        ...

    async def unload_draft(self, draft_model: str) -> None:
        """Have every ready worker free a draft's memory; raises as `load_draft` does."""
        ...

    async def profile(self, worker_id: str) -> bool:
        """Have a worker measure its costs anew, if it is idle; returns whether it did, and told its new ones.

        Raises:
            SpecschedError: it did not answer, or could not.
        """
        ...

    def execute(self, job: Job) -> AsyncGenerator[Chunk, None]:
        """Run a job on the worker with the least outstanding tokens and yield one chunk per round.

        Closing the iterator early cancels the row within one round.

        Raises:
            Unavailable: no worker is ready.
            WorkerLost: the worker died or hangs. Chunks that were yielded stand; the caller resumes with the rest.
            JobFailed: this job failed there, the worker goes on. Chunks that were yielded stand.
            InvalidRequest: the worker refused the job.
        """
        ...
