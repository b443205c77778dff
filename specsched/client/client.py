"""An asyncio client: records in, records out, errors of `specsched.errors`."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from specsched.errors import Unavailable
from specsched.records import Completion, Decision, Request, TextChunk
from specsched.v1 import scheduler_pb2, scheduler_pb2_grpc
from specsched.wire.caller import answer_from_proto, decide_request_to_proto, decision_from_proto, request_to_proto
from specsched.wire.status import error_of

_POLL_SECONDS = 0.1
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class Client:
    """Calls one server. Use as an async context manager.

    Every method raises what the server raised: `InvalidRequest` with its violations, `Overloaded` with the time to
    come back, `Unavailable`, `DuplicateRequest`, `DeadlinePassed`, or `CallFailed`.
    """

    def __init__(self, address: str) -> None:
        """Name a server: host:port or unix:PATH. Nothing is sent yet."""
        self.address = address
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._stub = scheduler_pb2_grpc.SchedulerServiceStub(self._channel)
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
        call = self._stub.Generate(request_to_proto(request), timeout=timeout_seconds)
        try:
            async for message in call:
                yield answer_from_proto(message)
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from error
        finally:
            call.cancel()

    async def complete(self, request: Request, *, timeout_seconds: float | None = None) -> Completion:
        """Return a whole completion."""
        async with contextlib.aclosing(self.generate(request, timeout_seconds=timeout_seconds)) as answers:
            async for answer in answers:
                if isinstance(answer, Completion):
                    return answer
        raise Unavailable("the stream ended before the completion did", 1.0)

    async def decide(self, request: Request) -> Decision:
        """Return class, plan and the score of every arm, without generating."""
        try:
            return decision_from_proto(await self._stub.Decide(decide_request_to_proto(request)))
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from error

    async def abort(self, request_id: str) -> None:
        """End a running request; raises UnknownRequest when there is none."""
        try:
            await self._stub.Abort(scheduler_pb2.AbortRequest(request_id=request_id))
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from error

    async def _serving(self) -> bool:
        try:
            answer = await self._health.Check(health_pb2.HealthCheckRequest())
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
