"""The engine: rows join, are prefilled, and go through rounds of propose → verify → accept → commit."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from specsched.engine.admission import check_job
from specsched.engine.base import Deliver
from specsched.engine.drafts import Drafts
from specsched.engine.finish import Ending, cut
from specsched.engine.hindsight import look_back
from specsched.engine.inference import inferring
from specsched.engine.kv.prefix import PrefixCache
from specsched.engine.law import History
from specsched.engine.logprobs import token_logprobs
from specsched.engine.marks import marks_for
from specsched.engine.model import LanguageModel
from specsched.engine.prefill import Prefill
from specsched.engine.profile import Measure, unmeasured
from specsched.engine.roster import Roster, Waiting
from specsched.engine.rounds import HostRounds, Rounds
from specsched.engine.row import Row
from specsched.engine.settings import EngineSettings
from specsched.engine.soundness import UnsoundTarget
from specsched.engine.synthetic import last_word
from specsched.engine.verify import Verdict, verify
from specsched.errors import DuplicateRequest
from specsched.policy.base import Arm, Guarded, RoundController, Watchful
from specsched.records import NO_DRAFT, Chunk, Counterfactual, FinishReason, Job, RoundRecord, WorkerInfo, WorkerLoad

PLAIN = Arm(NO_DRAFT, 0)


class Engine:
    """Target, drafts and rows of one worker (`EngineCore`). Everything runs on one thread."""

    def __init__(
        self,
        info: WorkerInfo,
        target: LanguageModel,
        drafts: Drafts,
        controller: RoundController,
        settings: EngineSettings,
        *,
        rounds: Rounds | None = None,
        measure: Measure = unmeasured,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take loaded models.

        Args:
            info: What `describe` answers.
            target: The model whose law every token follows.
            drafts: Those that are loaded, and a way to load more; plain decoding needs none.
            controller: Chooses each row's arm, every round.
            settings: Limits.
            rounds: Runs the rounds, with this target and these drafts; on the host by default.
            measure: Profiles target and drafts anew; by default nothing is.
            clock: Monotonic seconds.
        """
        self._info = info
        self._target = target
        self._drafts = drafts
        self._proposers = drafts.proposers
        self._controller = controller
        self._settings = settings
        self._measure = measure
        self._clock = clock
        self._marks = marks_for(target.device, clock)
        told = last_word(settings.synthetic_acceptance)
        self._rounds = rounds or HostRounds(target, drafts.proposers, verify, told, clock)
        self._roster = Roster(settings)
        self._prefixes = PrefixCache(target.kv, settings.prefix_cache_tokens)
        self._prefill = Prefill(target, self._prefixes, settings.prefill_chunk_tokens, clock, self._marks)
        self._disabled: set[str] = set()

    # ------------------------------------------------------------------------------------- what others ask

    def describe(self) -> WorkerInfo:
        """Models as they are now, limits and profiled costs."""
        return replace(self._info, drafts=self._drafts.infos())

    def load(self) -> WorkerLoad:
        """How busy it is now."""
        guarded = self._controller if isinstance(self._controller, Guarded) else None
        budgets = guarded.credits if guarded else {}
        return WorkerLoad(
            worker_id=self._info.worker_id,
            running_rows=len(self._roster.rows),
            waiting_rows=len(self._roster.waiting),
            outstanding_tokens=self._roster.outstanding_tokens,
            kv_used_tokens=self._roster.kv_tokens,
            kv_cached_tokens=self._prefixes.tokens,
            kv_capacity_tokens=self._settings.kv_capacity_tokens,
            guard_budget_tokens=min(budgets.values(), default=0.0),
            guard_vetoes=guarded.vetoes if guarded else 0,
            guard_budgets=budgets,
            profile_wanted=isinstance(self._controller, Watchful) and self._controller.profile_wanted,
        )

    def submit(self, job: Job, deliver: Deliver) -> None:
        """Take a job; its row joins before a later round, as soon as there is room."""
        if job.request_id in self._roster:
            raise DuplicateRequest(f"request {job.request_id} is running already")
        check_job(
            job,
            vocab_size=self._target.vocab_size,
            max_context_tokens=self._target.max_context_tokens,
            kv_capacity_tokens=self._settings.kv_capacity_tokens,
            drafts=self._drafts.names,
        )
        self._roster.waiting[job.request_id] = Waiting(job, deliver, self._clock())

    @inferring  # another row moves into its place
    def cancel(self, request_id: str) -> None:
        """Free the row now and deliver its last chunk."""
        aborted = Chunk((), finish=FinishReason.ABORTED)
        row = self._roster.rows.get(request_id)
        if row is not None:
            self._end(row, aborted)
            return
        waiting = self._roster.waiting.pop(request_id, None)
        if waiting is not None:
            waiting.deliver(aborted)

    def pause(self, request_id: str) -> None:
        """Leave the row out of the rounds; it keeps its KV."""
        row = self._roster.rows.get(request_id)
        if row is not None:
            row.paused = True

    def resume(self, request_id: str) -> None:
        """Let a paused row take part again."""
        row = self._roster.rows.get(request_id)
        if row is not None:
            row.paused = False

    def set_draft_state(self, draft_model: str, *, active: bool) -> None:
        """Use, or stop using, a draft from the next round on."""
        (self._disabled.discard if active else self._disabled.add)(draft_model)

    def load_draft(self, draft_model: str) -> Future[Any]:
        """Begin to load a draft, or its new version, beside the running rows."""
        return self._drafts.load(draft_model)

    def unload_draft(self, draft_model: str) -> None:
        """Free a draft's memory; rows that used it go on without it."""
        self._drafts.unload(draft_model)

    def profile(self, halt: Callable[[], bool]) -> bool:
        """Measure costs anew while there is nobody, in a memory as empty as it was at start."""
        if self._roster.rows or self._roster.waiting:
            return False
        self._prefixes.fit(0)
        costs = self._measure(self._info.costs.version + 1, halt)
        if costs is None:
            return False
        self._info = replace(self._info, costs=costs)
        if isinstance(self._controller, Watchful):
            self._controller.reprice(costs)
        return True

    def check_integrity(self) -> None:
        """Assert that no KV row outlives its request, and that the rows agree with their KV."""
        self._target.kv.check_integrity()
        self._prefixes.check_integrity()
        assert {row.kv for row in self._roster.rows.values()} == set(self._target.kv.open_rows)
        assert all(0 <= row.kv.length < len(row.tokens) for row in self._roster.rows.values())

    # --------------------------------------------------------------------------------------------- the loop

    def computing(self) -> AbstractContextManager[object]:
        """What a thread is in while it steps this engine."""
        return torch.inference_mode()

    @inferring
    def step(self) -> bool:
        """Let rows join, take in a stretch of their prompts, run one round. Returns whether there is more to do."""
        self._drafts.tend()
        if self._roster.join(self._open):
            self._prefixes.fit(self._roster.kv_room_tokens)
        unread = self._roster.unread()
        if unread:
            self._prefill.step(unread, beside=bool(self._roster.ready()))
        rows = self._roster.ready()
        if rows:
            began = self._marks.now()
            self._round(rows)
            self._prefill.pace.observe_round(self._marks.between(began, self._marks.now()))
        self._prefill.settle()
        return self._roster.busy

    def _round(self, rows: list[Row]) -> None:
        """Propose → verify → accept → commit."""
        outcome = self._rounds.play(rows, self._arms(rows))
        self._end_unsound(rows, outcome.verdicts)
        endings = [self._commit(*each) for each in zip(rows, outcome.verdicts, outcome.records, strict=True)]
        in_order = sorted(range(len(rows)), key=lambda i: endings[i].finish is not None)
        for i in in_order:  # after all commits: leaving moves KV; who ends is last: it looks back
            self._deliver(rows[i], endings[i], outcome.logits, i)

    def _end_unsound(self, rows: list[Row], verdicts: Sequence[Verdict]) -> None:
        """Give up rows whose logits are no numbers, and the engine with them.

        Their keys and values are no numbers either; they would spread to whoever is masked beside them.
        """
        unsound = [row for row, verdict in zip(rows, verdicts, strict=True) if not verdict.sound]
        for row in unsound:
            self._end(row, Chunk((), failure="the target computed no numbers for it"))
        if unsound:
            raise UnsoundTarget(f"the target computed no numbers for {len(unsound)} of {len(rows)} rows")

    def _arms(self, rows: list[Row]) -> list[Arm]:
        chosen = self._controller.choose([row.view for row in rows])
        return [self._bounded(row, arm) for row, arm in zip(rows, chosen, strict=True)]

    def _bounded(self, row: Row, arm: Arm) -> Arm:
        """Cut an arm to what the row can still take and to the drafts that may be used."""
        gamma = min(arm.gamma, row.remaining - 1) if arm.gamma else 0
        if gamma <= 0:
            return PLAIN
        if arm.draft_model not in self._proposers:
            self._drafts.missed(arm.draft_model)
            return PLAIN
        if arm.draft_model in self._disabled:
            return PLAIN
        return arm if gamma == arm.gamma else Arm(arm.draft_model, gamma)

    def _commit(self, row: Row, verdict: Verdict, record: RoundRecord) -> Ending:
        """Append what stands and roll back what doesn't."""
        ending = cut(row, verdict.tokens, record)
        if record.planned_gamma:
            self._proposers[record.draft_model].commit(row, len(row.tokens) + verdict.num_accepted)
            self._drafts.won(record.draft_model, verdict.num_accepted)
        row.commit(ending.tokens, verdict.chances[: len(ending.tokens)])
        row.kv.length = len(row.tokens) - 1
        self._controller.observe(row.job.request_id, ending.record)
        return ending

    def _deliver(self, row: Row, ending: Ending, logits: Tensor, place: int) -> None:
        """Hand a round's tokens over, and end the row where it ends; its logits are at its place, [B, W, V]."""
        top = row.job.logprobs
        logprobs = token_logprobs(logits[place], ending.tokens, top) if top is not None else ()
        finish = ending.finish or self._out_of_time(row)
        chunk = Chunk(tuple(ending.tokens), logprobs, ending.record, finish, ending.matched_token_id, row.cached_tokens)
        if finish is not None or not row.learnt:  # after its first round: others may wait for the same head
            row.learnt = True
            self._prefill.learn(row, self._roster.kv_room_tokens)
        if finish is None:
            row.deliver(chunk)
        else:
            self._end(row, replace(chunk, hindsight=self._look_back(row)))

    def _look_back(self, row: Row) -> tuple[Counterfactual, ...]:
        usable = {name: proposer for name, proposer in self._proposers.items() if name not in self._disabled}
        return look_back(row, self._controller, usable, self._clock)

    def _out_of_time(self, row: Row) -> FinishReason | None:
        limit = row.job.time_limit_seconds
        return FinishReason.TIME_LIMIT if limit is not None and self._clock() - row.started >= limit else None

    # --------------------------------------------------------------------------------------- joining, leaving

    def _open(self, waiting: Waiting) -> Row:
        job = waiting.job
        stop_ids = frozenset(job.stop_token_ids) | frozenset(() if job.ignore_eos else self._info.eos_token_ids)
        self._controller.begin(job.request_id, job.plan, sampled=not job.sampling.greedy)
        return Row(
            job=job,
            deliver=waiting.deliver,
            history=History(job, stop_ids, self._target.vocab_size, self._target.device),
            kv=self._target.kv.open(),
            max_tokens=min(job.max_tokens, self._target.max_context_tokens - len(job.prompt_ids)),
            stop_ids=stop_ids,
            started=waiting.since,
        )

    def _end(self, row: Row, chunk: Chunk) -> None:
        """Free all that belongs to a row, then say so."""
        del self._roster.rows[row.job.request_id]
        self._target.kv.close(row.kv)
        self._drafts.forget(row)
        self._controller.end(row.job.request_id)
        row.deliver(chunk)
