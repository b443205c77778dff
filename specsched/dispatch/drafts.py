"""The drafts of one worker behind gRPC: what its rounds may use, what it holds in memory."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from specsched.records import DraftSwitches, WorkerInfo
from specsched.v1 import worker_pb2
from specsched.wire.status import error_of
from specsched.wire.worker import info_from_proto

_SWITCH_SECONDS = 5.0
_LOAD_SECONDS = 600.0


class WorkerDrafts:
    """Has a worker do what the scheduler wants, now and whenever it starts again."""

    def __init__(self, stub: Callable[[], Any]) -> None:
        """Take what gives the worker's stub; nothing is sent yet."""
        self._stub = stub
        self._lock = asyncio.Lock()
        self.wanted = DraftSwitches()
        """Set by the dispatcher; `obey` sends it."""

    async def obey(self, info: WorkerInfo) -> None:
        """Return when the worker's rounds use what is wanted, and nothing else.

        Raises:
            grpc.aio.AioRpcError: it does not answer.
        """
        async with self._lock:  # what was wanted before must not arrive after
            sent = None
            while sent is not self.wanted:
                sent = self.wanted
                await asyncio.gather(*(self._apply(draft.id, sent) for draft in info.drafts))

    async def load(self, draft_model: str) -> WorkerInfo:
        """Load a draft beside the running rows; returns what the worker is then.

        Raises:
            SpecschedError: the worker refused, or failed.
        """
        return await self._after(self._stub().AttachDraft, worker_pb2.AttachDraftRequest(draft_model=draft_model))

    async def unload(self, draft_model: str) -> WorkerInfo:
        """Free a draft's memory; raises as `load` does."""
        return await self._after(self._stub().DetachDraft, worker_pb2.DetachDraftRequest(draft_model=draft_model))

    async def _apply(self, draft_model: str, switches: DraftSwitches) -> None:
        request = worker_pb2.ApplyDraftStateRequest(draft_model=draft_model, active=switches.allow(draft_model))
        await self._stub().ApplyDraftState(request, timeout=_SWITCH_SECONDS)

    async def _after(self, call: Any, request: Any) -> WorkerInfo:
        try:
            await call(request, timeout=_LOAD_SECONDS)
            info = info_from_proto(await self._stub().Describe(worker_pb2.DescribeRequest(), timeout=_SWITCH_SECONDS))
            await self.obey(info)
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from error
        return info
