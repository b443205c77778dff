"""The engine's port, as the worker process and the in-process dispatcher see it. Free of torch."""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Protocol

from specsched.records import Chunk, Job, WorkerInfo, WorkerLoad

Deliver = Callable[[Chunk], None]
"""Takes a row's chunks, one per round, on the engine's thread; must not block.

The last one carries `finish` or `failure`.
"""


class EngineCore(Protocol):
    """Owns the models and the rows. Every method is called on one thread, the engine's."""

    def describe(self) -> WorkerInfo:
        """Models as they are now, limits and profiled costs."""
        ...

    def load(self) -> WorkerLoad:
        """How busy it is now. Cheap."""
        ...

    def submit(self, job: Job, deliver: Deliver) -> None:
        """Take a job; its row joins before the next round.

        Raises:
            InvalidRequest: ids out of range, no room in the context, a draft that is not here.
            DuplicateRequest: a row of this id is here.
        """
        ...

    def cancel(self, request_id: str) -> None:
        """Free the row before the next round and deliver a last chunk (ABORTED). Unknown ids are ignored."""
        ...

    def pause(self, request_id: str) -> None:
        """Leave the row out of the rounds (its reader is slow). It keeps its KV."""
        ...

    def resume(self, request_id: str) -> None:
        """Let a paused row take part again."""
        ...

    def set_draft_state(self, draft_model: str, *, active: bool) -> None:
        """Use, or stop using, a draft from the next round on."""
        ...

    def load_draft(self, draft_model: str) -> Future[Any]:
        """Begin to load a draft of the manifest, whose entry and hash are read anew: a new version is taken in, too.

        Running rows go on. Rounds use it from the first step after the future is done.

        Returns:
            A future that raises InvalidRequest where the manifest has no such draft, and PoolError where it cannot be
            loaded; what was resident before then stays so.
        """
        ...

    def unload_draft(self, draft_model: str) -> None:
        """Free a draft's memory before the next round; rows that used it go on without it.

        Raises:
            InvalidRequest: no such draft is known.
        """
        ...

    def profile(self, halt: Callable[[], bool]) -> bool:
        """Measure anew what rounds cost, if nothing runs. It takes a while, and ends as soon as `halt` says so.

        Returns:
            Whether it was done; costs are as before where it wasn't.
        """
        ...

    def computing(self) -> AbstractContextManager[object]:
        """What a thread is in while it steps this engine: entered once, it costs less than in every step."""
        ...

    def step(self) -> bool:
        """Run one step (a chunk of prefill and one round). Returns whether there is more to do."""
        ...
