"""Servicers → gRPC handlers. Every call passes here: bytes are parsed, errors become status, in one place.

grpc.aio by itself answers UNKNOWN to bytes that are no valid message; so handlers take raw bytes and parse them here.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from specsched.errors import InvalidRequest, NotOffered
from specsched.records import Caller
from specsched.telemetry.audit import Action, AuditTrail
from specsched.wire.audited import arguments_of
from specsched.wire.guard import Guard, OpenDoor, set_current_caller
from specsched.wire.status import status_of

Context = grpc.aio.ServicerContext[Any, Any]

_DEADLINE_SLACK_SECONDS = 0.05
"""A call that is cancelled so shortly before its deadline is taken as one whose deadline passed: two clocks differ."""

CODES = (
    "OK",
    "CANCELLED",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "UNAUTHENTICATED",
)
"""How calls end, unless a servicer aborts one in its own words."""

CallObserver = Callable[[str, str, float], None]
"""Told of every call that ended: the RPC's name, the name of its status code, its seconds."""


def unobserved(_method: str, _code: str, _seconds: float) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A servicer whose calls somebody is told of."""

    servicer: object
    observe: CallObserver = unobserved
    audit: AuditTrail | None = None
    """Takes every call that changed something or was refused; None where callers only change their own."""


@dataclass(frozen=True, slots=True)
class _Rpc:
    """One method, and all that a call of it passes."""

    method: MethodDescriptor
    observed: Observed
    guard: Guard

    request_type: type[Message]

    @property
    def only_reads(self) -> bool:
        """By its name, as the contract has them."""
        return self.method.name.startswith(("Get", "List"))

    def enter(self, data: bytes, context: Context, entry: "_Entry") -> Message:
        """Let a call in: first who calls, then what it says."""
        entry.caller = self.guard.identify(tuple(context.invocation_metadata() or ()))
        self.guard.authorise(entry.caller, self.method.containing_service.full_name)
        set_current_caller(entry.caller)
        entry.message = _parse(self.request_type, data)
        return entry.message


@dataclass(slots=True)
class _Entry:
    """What is known of a call so far."""

    caller: Caller | None = None
    message: Message | None = None


def service_handler(service: ServiceDescriptor, servicer: object, guard: Guard | None = None) -> grpc.GenericRpcHandler:
    """Make the handler of a service.

    Args:
        service: From the generated module's DESCRIPTOR.
        servicer: Its methods, by RPC name, take (message, context) and return a message, or are async generators
            of messages. An RPC without a method answers UNIMPLEMENTED. May come as `Observed`.
        guard: Asked before anything else; None lets anybody in.
    """
    observed = servicer if isinstance(servicer, Observed) else Observed(servicer)
    door = guard or OpenDoor()
    rpcs = [_Rpc(method, observed, door, GetMessageClass(method.input_type)) for method in service.methods]
    return grpc.method_handlers_generic_handler(service.full_name, {rpc.method.name: _handler(rpc) for rpc in rpcs})


def _handler(rpc: _Rpc) -> "grpc.RpcMethodHandler[Any, Any]":
    offered = getattr(rpc.observed.servicer, rpc.method.name, None)
    if rpc.method.server_streaming:
        stream = _guarded_stream(offered or _not_offered_stream(rpc.method), rpc)
        return grpc.unary_stream_rpc_method_handler(stream, response_serializer=_serialise)
    unary = _guarded_unary(offered or _not_offered(rpc.method), rpc)
    return grpc.unary_unary_rpc_method_handler(unary, response_serializer=_serialise)


def _guarded_unary(
    behaviour: Callable[[Message, Context], Awaitable[Message]], rpc: _Rpc
) -> Callable[[bytes, Context], Awaitable[Message]]:
    async def handle(data: bytes, context: Context) -> Message:
        with _observed(rpc, context) as entry:
            try:
                return await behaviour(rpc.enter(data, context, entry), context)
            except (asyncio.CancelledError, grpc.aio.AbortError):
                raise
            except Exception as error:  # the border: everything becomes a status
                await _abort(context, error)
                raise AssertionError("abort returns never") from error

    return handle


def _guarded_stream(
    behaviour: Callable[[Message, Context], AsyncIterator[Message]], rpc: _Rpc
) -> Callable[[bytes, Context], AsyncIterator[Message]]:
    async def handle(data: bytes, context: Context) -> AsyncIterator[Message]:
        with _observed(rpc, context) as entry:
            try:
                async for message in behaviour(rpc.enter(data, context, entry), context):
                    yield message
            except (asyncio.CancelledError, grpc.aio.AbortError):
                raise
            except Exception as error:  # noqa: BLE001 - the border: everything becomes a status
                await _abort(context, error)

    return handle


@contextmanager
def _observed(rpc: _Rpc, context: Context) -> Iterator[_Entry]:
    """Tell how a call ended, however it ended."""
    started, entry = time.monotonic(), _Entry()
    code = grpc.StatusCode.OK
    try:
        yield entry
    except grpc.aio.AbortError:
        code = context.code()
        raise
    except BaseException:  # nobody is left to be answered
        code = _code_of_cancelled(context)
        raise
    finally:
        rpc.observed.observe(rpc.method.name, code.name, time.monotonic() - started)
        if rpc.observed.audit is not None and not (rpc.only_reads and code is grpc.StatusCode.OK):
            rpc.observed.audit.write(_action(rpc.method.name, context.peer(), code, entry))


def _action(method: str, peer: str, code: grpc.StatusCode, entry: _Entry) -> Action:
    who = "" if entry.caller is None else entry.caller.name
    return Action(who, peer, method, code.name, {} if entry.message is None else arguments_of(entry.message))


def _code_of_cancelled(context: Context) -> grpc.StatusCode:
    """Callers hang up, and gRPC hangs up for those whose deadline passed."""
    remaining = context.time_remaining()
    passed = remaining is not None and remaining <= _DEADLINE_SLACK_SECONDS
    return grpc.StatusCode.DEADLINE_EXCEEDED if passed else grpc.StatusCode.CANCELLED


async def _abort(context: Context, error: Exception) -> None:
    code, message, trailer = status_of(error)
    await context.abort(code, message, trailer)


def _parse(request_type: type[Message], data: bytes) -> Message:
    try:
        return request_type.FromString(data)
    except DecodeError:
        raise InvalidRequest((), "the request is no valid message") from None


def _not_offered(method: MethodDescriptor) -> Callable[[Message, Context], Awaitable[Message]]:
    async def refuse(_message: Message, _context: Context) -> Message:
        raise NotOffered(f"{method.full_name} is part of the contract, but this version does not offer it yet")

    return refuse


def _not_offered_stream(method: MethodDescriptor) -> Callable[[Message, Context], AsyncIterator[Message]]:
    async def refuse(message: Message, context: Context) -> AsyncIterator[Message]:
        yield await _not_offered(method)(message, context)

    return refuse


def _serialise(message: Message) -> bytes:
    return message.SerializeToString()
