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
    "RESOURCE_EXHAUSTED",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
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
    observe: CallObserver


def service_handler(service: ServiceDescriptor, servicer: object) -> grpc.GenericRpcHandler:
    """Make the handler of a service.

    Args:
        service: From the generated module's DESCRIPTOR.
        servicer: Its methods, by RPC name, take (message, context) and return a message, or are async generators
            of messages. An RPC without a method answers UNIMPLEMENTED. May come as `Observed`.
    """
    observed = servicer if isinstance(servicer, Observed) else Observed(servicer, unobserved)
    handlers = {method.name: _method_handler(method, observed) for method in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _method_handler(method: MethodDescriptor, observed: Observed) -> "grpc.RpcMethodHandler[Any, Any]":
    offered = getattr(observed.servicer, method.name, None)
    if method.server_streaming:
        stream = _guarded_stream(offered or _not_offered_stream(method), method, observed.observe)
        return grpc.unary_stream_rpc_method_handler(stream, response_serializer=_serialise)
    unary = _guarded_unary(offered or _not_offered(method), method, observed.observe)
    return grpc.unary_unary_rpc_method_handler(unary, response_serializer=_serialise)


def _guarded_unary(
    behaviour: Callable[[Message, Context], Awaitable[Message]], method: MethodDescriptor, observe: CallObserver
) -> Callable[[bytes, Context], Awaitable[Message]]:
    request_type = GetMessageClass(method.input_type)

    async def handle(data: bytes, context: Context) -> Message:
        with _observed(method.name, context, observe):
            try:
                return await behaviour(_parse(request_type, data), context)
            except (asyncio.CancelledError, grpc.aio.AbortError):
                raise
            except Exception as error:  # the border: everything becomes a status
                await _abort(context, error)
                raise AssertionError("abort returns never") from error

    return handle


def _guarded_stream(
    behaviour: Callable[[Message, Context], AsyncIterator[Message]], method: MethodDescriptor, observe: CallObserver
) -> Callable[[bytes, Context], AsyncIterator[Message]]:
    request_type = GetMessageClass(method.input_type)

    async def handle(data: bytes, context: Context) -> AsyncIterator[Message]:
        with _observed(method.name, context, observe):
            try:
                async for message in behaviour(_parse(request_type, data), context):
                    yield message
            except (asyncio.CancelledError, grpc.aio.AbortError):
                raise
            except Exception as error:  # noqa: BLE001 - the border: everything becomes a status
                await _abort(context, error)

    return handle


@contextmanager
def _observed(method: str, context: Context, observe: CallObserver) -> Iterator[None]:
    """Tell how a call ended, however it ended."""
    started = time.monotonic()
    code = grpc.StatusCode.OK
    try:
        yield
    except grpc.aio.AbortError:
        code = context.code()
        raise
    except BaseException:  # nobody is left to be answered
        code = _code_of_cancelled(context)
        raise
    finally:
        observe(method, code.name, time.monotonic() - started)


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
