"""WorkerService over an engine thread: the wire on one side, the engine on the other."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from structlog.contextvars import bind_contextvars

from specsched.engine.thread import EngineThread
from specsched.errors import InvalidRequest, Violation
from specsched.telemetry.tracing.base import trace_id_of
from specsched.v1 import worker_pb2
from specsched.wire.job import chunks_to_proto, job_from_proto
from specsched.wire.job_checks import check_job_message
from specsched.wire.rpc import Context
from specsched.wire.trace import trace_parent_of
from specsched.wire.worker import describe_to_proto, grid_to_proto, model_to_proto

if TYPE_CHECKING:
    from specsched.records import Chunk


class WorkerServicer:
    """Answers the scheduler."""

    def __init__(self, thread: EngineThread, draining: Callable[[], Awaitable[None]]) -> None:
        """Answer for an engine's thread; `draining` is called before jobs are refused."""
        self._thread = thread
        self._draining = draining

    async def Execute(  # noqa: N802 - the RPC's name
        self, request: worker_pb2.ExecuteRequest, context: Context
    ) -> AsyncIterator[worker_pb2.ExecuteResponse]:
        """Run one job; a cancelled call frees its row before the next round.

        Rounds that are ready together leave together, where the scheduler reads that: it lags, or this process does.
        """
        bind_contextvars(request_id=request.request_id, trace_id=trace_id_of(trace_parent_of(context)))
        check_job_message(request)
        async with aclosing(self._thread.execute(job_from_proto(request))) as chunks:
            held: list[Chunk] = []
            async for chunk in chunks:
                held.append(chunk)
                if not (chunk.more and request.reads_later):
                    yield chunks_to_proto(held)
                    held = []

    async def Describe(  # noqa: N802
        self, _request: worker_pb2.DescribeRequest, _context: Context
    ) -> worker_pb2.DescribeResponse:
        """Models, limits and costs."""
        return describe_to_proto(await self._thread.describe(), await self._thread.load())

    async def ApplyDraftState(  # noqa: N802
        self, request: worker_pb2.ApplyDraftStateRequest, _context: Context
    ) -> worker_pb2.ApplyDraftStateResponse:
        """Use, or stop using, a draft."""
        if request.draft_model not in {draft.id for draft in (await self._thread.describe()).drafts}:
            raise InvalidRequest([Violation("draft_model", f"{request.draft_model!r} is not in the pool")])
        await self._thread.set_draft_state(request.draft_model, active=request.active)
        return worker_pb2.ApplyDraftStateResponse()

    async def AttachDraft(  # noqa: N802
        self, request: worker_pb2.AttachDraftRequest, _context: Context
    ) -> worker_pb2.AttachDraftResponse:
        """Load a draft of the manifest beside the running rows."""
        info = await self._thread.load_draft(request.draft_model)
        return worker_pb2.AttachDraftResponse(drafts=[model_to_proto(draft) for draft in info.drafts])

    async def DetachDraft(  # noqa: N802
        self, request: worker_pb2.DetachDraftRequest, _context: Context
    ) -> worker_pb2.DetachDraftResponse:
        """Free a draft's memory."""
        info = await self._thread.unload_draft(request.draft_model)
        return worker_pb2.DetachDraftResponse(drafts=[model_to_proto(draft) for draft in info.drafts])

    async def ProfileCosts(  # noqa: N802
        self, _request: worker_pb2.ProfileCostsRequest, _context: Context
    ) -> worker_pb2.ProfileCostsResponse:
        """Measure costs anew, while nobody needs the engine."""
        measured = await self._thread.profile()
        info = await self._thread.describe()
        return worker_pb2.ProfileCostsResponse(measured=measured, costs=grid_to_proto(info.costs))

    async def Drain(  # noqa: N802
        self, _request: worker_pb2.DrainRequest, _context: Context
    ) -> worker_pb2.DrainResponse:
        """Refuse new jobs; answer when none is left."""
        await self._draining()
        await self._thread.drain()
        return worker_pb2.DrainResponse()
