"""SchedulerService: the wire on one side, the scheduler on the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from importlib.metadata import version

from structlog.contextvars import bind_contextvars

from specsched.errors import DeadlinePassed, InvalidRequest, Violation
from specsched.records import Completion, Request, TextChunk
from specsched.scheduler.scheduler import Scheduler
from specsched.v1 import scheduler_pb2
from specsched.wire.answer import completion_to_proto, text_chunks_to_proto
from specsched.wire.fields import AnyRequest
from specsched.wire.guard import current_caller
from specsched.wire.outcome import outcome_from_proto
from specsched.wire.plan import budget_to_proto, decision_to_proto, plan_to_proto
from specsched.wire.request import request_from_proto
from specsched.wire.rpc import Context
from specsched.wire.trace import trace_parent_of
from specsched.wire.worker import load_to_proto, model_to_proto


class SchedulerServicer:
    """Answers callers. Methods raise; `wire.rpc` turns what they raise into status."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    async def Generate(  # noqa: N802 - the RPC's name
        self, message: scheduler_pb2.GenerateRequest, context: Context
    ) -> AsyncIterator[scheduler_pb2.GenerateResponse]:
        """Stream a completion. Deltas that come together are sent as one, unless their rounds are asked for."""
        self._check_model(message.model)
        request = self._request(message, context)
        shown, held = request.output, list[TextChunk]()
        try:
            async with (
                asyncio.timeout(request.deadline_seconds),
                aclosing(self._scheduler.generate(request)) as answers,
            ):
                async for answer in answers:
                    if isinstance(answer, Completion):
                        yield completion_to_proto(request.request_id, answer)
                    elif not shown.complete_only:
                        held.append(answer)
                        if shown.include_rounds or not answer.more:
                            yield text_chunks_to_proto(held, include_round=shown.include_rounds)
                            held.clear()
        except TimeoutError:
            raise DeadlinePassed("the deadline passed before the completion was whole") from None

    async def Decide(  # noqa: N802
        self, message: scheduler_pb2.DecideRequest, context: Context
    ) -> scheduler_pb2.DecideResponse:
        """Explain a decision."""
        self._check_model(message.model)
        request = self._request(message, context)
        decision = await self._scheduler.decide(request)
        return scheduler_pb2.DecideResponse(
            request_id=request.request_id,
            decision=decision_to_proto(decision),
            plan=plan_to_proto(decision.plan, scores=True),
            guard=budget_to_proto(decision.guard) if decision.guard else None,
        )

    async def ReportOutcome(  # noqa: N802
        self, message: scheduler_pb2.ReportOutcomeRequest, _context: Context
    ) -> scheduler_pb2.ReportOutcomeResponse:
        """Learn from a caller's own engine."""
        drafts = {draft.id for draft in self._scheduler.worker().drafts}
        told = outcome_from_proto(message, self._scheduler.prompt_classes, drafts)
        sees = current_caller().sees
        recorded = self._scheduler.advisor.report(told.request_id, told.rounds, told.prompt_class, sees)
        return scheduler_pb2.ReportOutcomeResponse(recorded=recorded)

    async def Abort(  # noqa: N802
        self, message: scheduler_pb2.AbortRequest, _context: Context
    ) -> scheduler_pb2.AbortResponse:
        """End a running request."""
        self._scheduler.abort(message.request_id, current_caller().reach(message.tenant))
        return scheduler_pb2.AbortResponse()

    async def GetModelInfo(  # noqa: N802
        self, _message: scheduler_pb2.GetModelInfoRequest, _context: Context
    ) -> scheduler_pb2.GetModelInfoResponse:
        """Describe the pool."""
        worker = self._scheduler.worker()
        return scheduler_pb2.GetModelInfoResponse(
            target=model_to_proto(worker.target),
            drafts=[model_to_proto(draft) for draft in self._scheduler.steering.board.described(worker.drafts)],
            max_context_tokens=worker.max_context_tokens,
            vocab_size=worker.vocab_size,
            prompt_classes=self._scheduler.prompt_classes,
            server_version=version("specsched"),
            synthetic_acceptance=worker.synthetic,
        )

    async def GetLoads(  # noqa: N802
        self, _message: scheduler_pb2.GetLoadsRequest, _context: Context
    ) -> scheduler_pb2.GetLoadsResponse:
        """Say how busy everything is."""
        loads = self._scheduler.loads()
        return scheduler_pb2.GetLoadsResponse(
            running_requests=self._scheduler.running,
            queued_requests=self._scheduler.queued,
            workers=[load_to_proto(load) for load in loads],
        )

    def _request(self, message: AnyRequest, context: Context) -> Request:
        """Read a call, and let all that is logged on its behalf name it."""
        classes, seconds = self._scheduler.prompt_classes, context.time_remaining()
        request = request_from_proto(message, classes, seconds, current_caller())
        request = replace(request, trace_parent=trace_parent_of(context))
        bind_contextvars(request_id=request.request_id)  # a call is a task: its context ends with it
        return request

    def _check_model(self, name: str) -> None:
        """An empty name means the only target."""
        if name and name != (served := self._scheduler.worker().target.id):
            raise InvalidRequest([Violation("model", f"{name!r} is not served; the target is {served!r}")])
