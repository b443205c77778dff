"""The client for threads: what `Client` is for asyncio."""

import contextlib
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, Self, TypeVar, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from specsched.client import calls
from specsched.client.channel import NOBODY, Access
from specsched.client.retries import NO_RETRIES, Retries, Tries
from specsched.errors import CapacityError, SpecschedError, Unavailable
from specsched.records import Completion, Decision, Output, Request, RoundRecord, TextChunk
from specsched.v1 import scheduler_pb2_grpc
from specsched.wire.caller import answer_from_proto, request_to_proto
from specsched.wire.status import error_of

T = TypeVar("T")

_POLL_SECONDS = 0.1


class SyncClient:
    """Calls one server from any thread. Use as a context manager. Raises what `Client` raises."""

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
        self._channel = access.channel(address)
        self._stub: Any = scheduler_pb2_grpc.SchedulerServiceStub(self._channel)
        self._health: Any = health_pb2_grpc.HealthStub(self._channel)  # its stubs say nothing of its methods

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the channel; running calls end."""
        self._channel.close()

    def ready(self, timeout_seconds: float) -> None:
        """Return as soon as the server says that it serves; raises Unavailable if it does not in that time."""
        until = time.monotonic() + timeout_seconds
        while not self._serving():
            if time.monotonic() >= until:
                raise Unavailable(f"{self.address} is not ready after {timeout_seconds:g} s", 1.0)
            time.sleep(_POLL_SECONDS)

    def generate(
        self, request: Request, *, timeout_seconds: float | None = None
    ) -> Generator[TextChunk | Completion, None, None]:
        """Yield a completion's deltas, one per round, then its account. Closing it early frees the row."""
        tries = Tries(self._retries, timeout_seconds)
        while True:
            begun = False
            try:
                for answer in self._stream(request, tries.left()):
                    begun = True
                    yield answer
            except CapacityError as error:
                if begun:
                    raise
                time.sleep(tries.pause(error))
            else:
                return

    def complete(self, request: Request, *, timeout_seconds: float | None = None) -> Completion:
        """Return a whole completion; what only chunks show is not asked for."""
        request = replace(request, output=Output(complete_only=True))
        with contextlib.closing(self.generate(request, timeout_seconds=timeout_seconds)) as answers:
            for answer in answers:
                if isinstance(answer, Completion):
                    return answer
        raise Unavailable("the stream ended before the completion did", 1.0)

    def decide(self, request: Request, *, timeout_seconds: float | None = None) -> Decision:
        """Return class, plan and the score of every arm, without generating."""
        return self._unary(calls.decide(request), timeout_seconds)

    def report_outcome(
        self, request_id: str, rounds: Sequence[RoundRecord], *, prompt_class: str | None = None
    ) -> bool:
        """Report rounds that an engine of one's own ran on a decision; returns whether they were news."""
        return self._unary(calls.report_outcome(request_id, rounds, prompt_class), None)

    def abort(self, request_id: str, *, tenant: str = "") -> None:
        """End a running request, of one tenant or of any of the caller's; raises UnknownRequest when there is none."""
        self._unary(calls.abort(request_id, tenant), None)

    def get_model_info(self) -> calls.ServiceInfo:
        """Return the target, the drafts and the limits."""
        return self._unary(calls.model_info(), None)

    def get_loads(self) -> calls.Loads:
        """Return how busy the service is."""
        return self._unary(calls.loads(), None)

    def _stream(self, request: Request, timeout_seconds: float | None) -> Generator[TextChunk | Completion, None, None]:
        call = self._stub.Generate(request_to_proto(request), timeout=timeout_seconds, metadata=self._access.metadata)
        try:
            for message in call:
                yield answer_from_proto(message)
        except grpc.RpcError as error:
            raise _raised(error) from error
        finally:
            call.cancel()

    def _unary(self, call: calls.Call[T], timeout_seconds: float | None) -> T:
        tries = Tries(self._retries, timeout_seconds)
        method = getattr(self._stub, call.method)
        while True:
            try:
                return call.answer(method(call.message, timeout=tries.left(), metadata=self._access.metadata))
            except grpc.RpcError as error:
                raised = _raised(error)
                if not isinstance(raised, CapacityError):
                    raise raised from error
                time.sleep(tries.pause(raised))

    def _serving(self) -> bool:
        try:
            answer = self._health.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _raised(error: grpc.RpcError) -> SpecschedError:
    """Return what the server raised; errors of either kind of channel have the same methods."""
    return error_of(cast("grpc.aio.AioRpcError", error))
