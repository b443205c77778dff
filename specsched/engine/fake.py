"""An engine without models: tokens are a function of prompt and position. Torch-free, for tests of what is above it."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from specsched.engine.base import Deliver
from specsched.errors import DuplicateRequest, InvalidRequest, Violation
from specsched.records import (
    NO_DRAFT,
    Chunk,
    CostGrid,
    FinishReason,
    Job,
    ModelInfo,
    RoundRecord,
    WorkerInfo,
    WorkerLoad,
)

NO_COSTS = CostGrid(0, (), ())


def scripted_token(job: Job, position: int, vocab_size: int) -> int:
    """Return the token that the scripted target says at an output position; never an EOS (ids below 8)."""
    return 8 + (sum(job.prompt_ids) * 31 + position * position * 7 + position * 3) % (vocab_size - 8)


@dataclass(slots=True)
class _Row:
    job: Job
    deliver: Deliver
    said: int
    paused: bool = False


class ScriptedEngine:
    """Implements EngineCore; every round accepts all that the plan drafts."""

    def __init__(
        self,
        *,
        worker_id: str = "scripted",
        vocab_size: int = 4096,
        round_seconds: float = 0.0,
        drafts: Sequence[ModelInfo] = (ModelInfo("draft", "model"), ModelInfo("ngram", "ngram")),
        costs: CostGrid = NO_COSTS,
        max_rows: int = 64,
    ) -> None:
        """Make an engine.

        Args:
            worker_id: Its name.
            vocab_size: Tokens.
            round_seconds: Time that every step sleeps.
            drafts: That it claims to hold.
            costs: That it claims to have profiled.
            max_rows: That it claims to decode together.
        """
        self._rows: dict[str, _Row] = {}
        self._disabled: set[str] = set()
        self._round_seconds = round_seconds
        self._info = WorkerInfo(
            worker_id,
            ModelInfo("target", "target"),
            tuple(drafts),
            vocab_size,
            2048,
            max_rows,
            65_536,
            (3,),
            "scripted",
            costs,
        )

    def describe(self) -> WorkerInfo:
        """Return limits like a small model's."""
        return self._info

    def load(self) -> WorkerLoad:
        """Count rows."""
        left = sum(row.job.max_tokens - row.said for row in self._rows.values())
        used = sum(len(row.job.prompt_ids) + row.said for row in self._rows.values())
        return WorkerLoad(self._info.worker_id, len(self._rows), 0, left, used, self._info.kv_capacity_tokens)

    def submit(self, job: Job, deliver: Deliver) -> None:
        """Take a job."""
        if job.request_id in self._rows:
            raise DuplicateRequest(f"request {job.request_id} is running already")
        if not job.prompt_ids:
            raise InvalidRequest([Violation("prompt", "is empty")])
        self._rows[job.request_id] = _Row(job, deliver, len(job.generated_ids))

    def cancel(self, request_id: str) -> None:
        """Free a row."""
        row = self._rows.pop(request_id, None)
        if row is not None:
            row.deliver(Chunk((), finish=FinishReason.ABORTED))

    def pause(self, request_id: str) -> None:
        """Leave a row out."""
        if request_id in self._rows:
            self._rows[request_id].paused = True

    def resume(self, request_id: str) -> None:
        """Let it take part again."""
        if request_id in self._rows:
            self._rows[request_id].paused = False

    def set_draft_state(self, draft_model: str, *, active: bool) -> None:
        """Stop, or go on, accepting what it drafts."""
        (self._disabled.discard if active else self._disabled.add)(draft_model)

    def load_draft(self, draft_model: str) -> Future[None]:
        """Know it, at once."""
        done: Future[None] = Future()
        others = (draft for draft in self._info.drafts if draft.id != draft_model)
        self._info = replace(self._info, drafts=(*others, ModelInfo(draft_model, "model")))
        done.set_result(None)
        return done

    def unload_draft(self, draft_model: str) -> None:
        """Say that it is evicted."""
        if draft_model not in {draft.id for draft in self._info.drafts}:
            raise InvalidRequest([Violation("draft_model", f"{draft_model!r} is not in the pool")])
        drafts = (replace(d, residency="evicted") if d.id == draft_model else d for d in self._info.drafts)
        self._info = replace(self._info, drafts=tuple(drafts))

    def profile(self, halt: Callable[[], bool]) -> bool:
        """Claim to have measured the same again."""
        if self._rows or halt():
            return False
        self._info = replace(self._info, costs=replace(self._info.costs, version=self._info.costs.version + 1))
        return True

    def computing(self) -> AbstractContextManager[object]:
        """Nothing."""
        return nullcontext()

    def step(self) -> bool:
        """Run one round of every row."""
        live = [row for row in self._rows.values() if not row.paused]
        if live and self._round_seconds:
            time.sleep(self._round_seconds)
        for row in live:
            self._round(row, len(live))
        return any(not row.paused for row in self._rows.values())

    def _round(self, row: _Row, batch: int) -> None:
        job = row.job
        planned = 0 if job.plan.draft_model in self._disabled else job.plan.gamma
        gamma = min(planned, job.max_tokens - row.said - 1)
        tokens = tuple(scripted_token(job, row.said + i, self._info.vocab_size) for i in range(gamma + 1))
        row.said += len(tokens)
        record = RoundRecord(job.plan.draft_model if gamma else NO_DRAFT, gamma, gamma, batch, 0.0, self._round_seconds)
        finish = FinishReason.LENGTH if row.said >= job.max_tokens else None
        if finish is not None:
            del self._rows[job.request_id]
        row.deliver(Chunk(tokens, (), record, finish))
