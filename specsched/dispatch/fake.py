"""A dispatcher without workers, for tests of what stands above it."""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import replace

from specsched.errors import Unavailable
from specsched.records import Chunk, CostGrid, DraftSwitches, Job, ModelInfo, WorkerInfo, WorkerLoad

FAKE_WORKER = WorkerInfo(
    worker_id="fake",
    target=ModelInfo("target", "target"),
    drafts=(ModelInfo("draft", "model"), ModelInfo("ngram", "ngram")),
    vocab_size=4096,
    max_context_tokens=2048,
    max_rows=8,
    kv_capacity_tokens=16_384,
    eos_token_ids=(3,),
    numerics_id="fake",
    costs=CostGrid(0, (), ()),
)

Script = Callable[[Job], Iterable[Chunk | BaseException]]
"""What a job yields: chunks, or an exception to raise in their place."""


class FakeDispatcher:
    """Plays a script; remembers the jobs that it was given, and which of their streams were closed early."""

    def __init__(self, script: Script, workers: Sequence[WorkerInfo] = (FAKE_WORKER,)) -> None:
        self.script = script
        self.jobs: list[Job] = []
        self.closed: list[str] = []
        self.switched: list[DraftSwitches] = []
        self.versions: dict[str, str] = {}
        """Draft → version that loading it brings, or starting again."""
        self.profiled: list[str] = []
        self.wanting: set[str] = set()
        """Workers whose rounds cost more than predicted."""
        self.budgets: dict[str, float] = {}
        """Tenant → what its guard holds on every worker."""
        self._workers = tuple(workers)

    def workers(self) -> Sequence[WorkerInfo]:
        """The given workers."""
        return self._workers

    async def ready(self) -> None:
        """At once."""

    def loads(self) -> Sequence[WorkerLoad]:
        """Idle, all of them."""
        return [
            WorkerLoad(name, 0, 0, 0, 0, profile_wanted=name in self.wanting, guard_budgets=self.budgets)
            for name in (worker.worker_id for worker in self._workers)
        ]

    async def switch(self, switches: DraftSwitches) -> None:
        """Remember it."""
        self.switched.append(switches)

    async def load_draft(self, draft_model: str) -> None:
        """Say that it is resident, in its new version where there is one."""
        self._reside(draft_model, "resident", self.versions.get(draft_model))

    def restart(self) -> None:
        """Have the workers come back with the drafts' new versions."""
        for draft_model, version in self.versions.items():
            self._reside(draft_model, "resident", version)

    async def unload_draft(self, draft_model: str) -> None:
        """Say that it is evicted."""
        self._reside(draft_model, "evicted")

    async def profile(self, worker_id: str) -> bool:
        """Remember it; one that wants it does it."""
        self.profiled.append(worker_id)
        return worker_id in self.wanting

    def _reside(self, name: str, residency: str, version: str | None = None) -> None:
        def moved(draft: ModelInfo) -> ModelInfo:
            if draft.id != name:
                return draft
            return replace(draft, residency=residency, version=draft.version if version is None else version)

        self._workers = tuple(replace(each, drafts=tuple(map(moved, each.drafts))) for each in self._workers)

    async def execute(self, job: Job) -> AsyncGenerator[Chunk, None]:
        """Play the script."""
        if not self._workers:
            raise Unavailable("no worker is ready", retry_after_seconds=1.0)
        self.jobs.append(job)
        whole = False
        try:
            for step in self.script(job):
                if isinstance(step, BaseException):
                    raise step
                yield step
            whole = True
        finally:
            if not whole:
                self.closed.append(job.request_id)
