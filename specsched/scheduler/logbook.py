"""Writes down what was decided and what came of it, in the order in which the policy lived it."""

import secrets
import time
from collections.abc import Callable
from dataclasses import replace

from specsched.policy.base import DecisionContext
from specsched.records import AcceptanceRecord, Counterfactual, Decision, DecisionRecord, RoundRecord, WorkerInfo
from specsched.telemetry.sinks.base import Sink


class Logbook:
    """Numbers decisions and rounds of one run; hands each round to a sink."""

    def __init__(
        self,
        sink: Sink[AcceptanceRecord],
        wall_clock: Callable[[], float] = time.time,
        draw_run_id: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._sink = sink
        self._wall_clock = wall_clock
        self._run_id = draw_run_id()
        self._decisions = 0
        self._rounds = 0

    def decided(
        self, request_id: str, context: DecisionContext, decision: Decision, worker: WorkerInfo
    ) -> DecisionRecord:
        """Number a decision."""
        versions = {draft.id: draft.version for draft in worker.drafts}
        record = DecisionRecord(
            request_id=request_id,
            tenant=context.tenant,
            number=self._decisions,
            rounds_before=self._rounds,
            class_probabilities=context.class_probabilities,
            sampled=context.sampled,
            coupled=context.coupled,
            hint=context.hint,
            drafts=context.drafts,
            draft_versions=tuple(versions[draft] for draft in context.drafts),
            worker_id=worker.worker_id,
            cost_version=worker.costs.version,
            running_rows=context.running_rows,
            prompt_tokens=context.prompt_tokens,
            expected_tokens=context.expected_tokens,
            plan=replace(decision.plan, scores=()),
            config_sha=decision.config_sha,
        )
        self._decisions += 1
        return record

    def lived(
        self,
        decision: DecisionRecord,
        record: RoundRecord,
        *,
        worker_id: str,
        round_index: int,
        completion_tokens: int,
        committed_tokens: int,
        plain_seconds: float | None,
        hindsight: tuple[Counterfactual, ...] = (),
    ) -> None:
        """Number a round, and hand it over.

        Args:
            decision: That the request runs under.
            record: The round, as far as it stands.
            worker_id: Where it ran.
            round_index: Of the request.
            completion_tokens: Of the request, before the round.
            committed_tokens: By the round.
            plain_seconds: Of a plain round of the same rows.
            hindsight: That the policy learnt right after it.
        """
        self._sink.put(
            AcceptanceRecord(
                run_id=self._run_id,
                number=self._rounds,
                unix_seconds=self._wall_clock(),
                decision=decision,
                round_index=round_index,
                worker_id=worker_id,
                context_tokens=decision.prompt_tokens + completion_tokens,
                committed_tokens=committed_tokens,
                round=record,
                plain_seconds=plain_seconds,
                hindsight=hindsight,
            )
        )
        self._rounds += 1
