"""An asyncio client: records in, records out, errors of `specsched.errors`."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any, Self, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from specsched.client import calls
from specsched.client.channel import NOBODY, Access
from specsched.client.retries import NO_RETRIES, Retries, Tries
from specsched.errors import CapacityError, Unavailable
from specsched.records import Completion, Decision, Output, Request, RoundRecord, TextChunk
from specsched.v1 import scheduler_pb2_grpc
from specsched.wire.caller import answer_from_proto, request_to_proto
from specsched.wire.status import error_of

T = TypeVar("T")

_POLL_SECONDS = 0.1


class Client:
    """Calls one server. Use as an async context manager.

    Every method raises what the server raised: `InvalidRequest` with its violations, `Overloaded` with the time to
    come back, `Unavailable`, `DuplicateRequest`, `DeadlinePassed`, or `CallFailed`.
    """

    def __init__(self, address: str, *, access: Access = NOBODY, retries: Retries = NO_RETRIES) -> None:
        """Name a server: host:port or unix:PATH. Nothing is sent yet.

        Args:
            address: Of the public port.
            access: Credentials.
            retries: When a server is full or not there; a stream is tried again only before its first chunk.
        """
        self.address = address
        self._access = access
        self._retries = retries
        self._channel = access.aio_channel(address)
        self._stub: Any = scheduler_pb2_grpc.SchedulerServiceStub(self._channel)
        self._health: Any = health_pb2_grpc.HealthStub(self._channel)  # its stubs know no aio

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the channel; running calls end."""
        await self._channel.close()

    async def ready(self, timeout_seconds: float) -> None:
        """Return as soon as the server says that it serves.

        Raises:
            Unavailable: it did not, in that time.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                while not await self._serving():  # noqa: ASYNC110 - another process; nothing sets an event here
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise Unavailable(f"{self.address} is not ready after {timeout_seconds:g} s", 1.0) from None

    async def generate(
        self, request: Request, *, timeout_seconds: float | None = None
    ) -> AsyncGenerator[TextChunk | Completion, None]:
        """Yield a completion's deltas, one per round, then its account. Closing it early frees the row."""
        tries = Tries(self._retries, timeout_seconds)
        while True:
            begun = False
            try:
                async with contextlib.aclosing(self._stream(request, tries.left())) as answers:
                    async for answer in answers:
                        begun = True
                        yield answer
            except CapacityError as error:
                if begun:
                    raise
                await asyncio.sleep(tries.pause(error))
            else:
                return

    async def complete(self, request: Request, *, timeout_seconds: float | None = None) -> Completion:
        """Return a whole completion; what only chunks show is not asked for."""
        request = replace(request, output=Output(complete_only=True))
        async with contextlib.aclosing(self.generate(request, timeout_seconds=timeout_seconds)) as answers:
            async for answer in answers:
                if isinstance(answer, Completion):
                    return answer
        raise Unavailable("the stream ended before the completion did", 1.0)

    async def decide(self, request: Request, *, timeout_seconds: float | None = None) -> Decision:
        """Return class, plan and the score of every arm, without generating."""
        return await self._unary(calls.decide(request), timeout_seconds)

    async def report_outcome(
        self, request_id: str, rounds: Sequence[RoundRecord], *, prompt_class: str | None = None
    ) -> bool:
        """Report rounds that an engine of one's own ran on a decision; returns whether they were news.

        Args:
            request_id: Of the request that was decided.
            rounds: In order.
            prompt_class: The prompt's true class, where it is known.
        """
        return await self._unary(calls.report_outcome(request_id, rounds, prompt_class), None)

    async def abort(self, request_id: str, *, tenant: str = "") -> None:
        """End a running request, of one tenant or of any of the caller's; raises UnknownRequest when there is none."""
        await self._unary(calls.abort(request_id, tenant), None)

    async def get_model_info(self) -> calls.ServiceInfo:
        """Return the target, the drafts and the limits."""
        return await self._unary(calls.model_info(), None)

    async def get_loads(self) -> calls.Loads:
        """Return how busy the service is."""
        return await self._unary(calls.loads(), None)

    async def _stream(
        self, request: Request, timeout_seconds: float | None
    ) -> AsyncGenerator[TextChunk | Completion, None]:
        call = self._stub.Generate(request_to_proto(request), timeout=timeout_seconds, metadata=self._access.metadata)
        try:
            async for message in call:
                yield answer_from_proto(message)
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from error
        finally:
            call.cancel()

    async def _unary(self, call: calls.Call[T], timeout_seconds: float | None) -> T:
        tries = Tries(self._retries, timeout_seconds)
        method = getattr(self._stub, call.method)
        while True:
            try:
                return call.answer(await method(call.message, timeout=tries.left(), metadata=self._access.metadata))
            except grpc.aio.AioRpcError as error:
                raised = error_of(error)
                if not isinstance(raised, CapacityError):
                    raise raised from error
                await asyncio.sleep(tries.pause(raised))

    async def _serving(self) -> bool:
        try:
            answer = await self._health.Check(health_pb2.HealthCheckRequest())
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
