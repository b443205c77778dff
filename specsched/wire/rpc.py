"""Servicers → gRPC handlers. Every call passes here: bytes are parsed, errors become status, in one place.

grpc.aio by itself answers UNKNOWN to bytes that are no valid message; so handlers take raw bytes and parse them here.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from specsched.errors import InvalidRequest, NotOffered
from specsched.wire.status import status_of

Context = grpc.aio.ServicerContext[Any, Any]


def service_handler(service: ServiceDescriptor, servicer: object) -> grpc.GenericRpcHandler:
    """Make the handler of a service.

    Args:
        service: From the generated module's DESCRIPTOR.
        servicer: Its methods, by RPC name, take (message, context) and return a message, or are async generators
            of messages. An RPC without a method answers UNIMPLEMENTED.
    """
    handlers = {method.name: _method_handler(method, servicer) for method in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _method_handler(method: MethodDescriptor, servicer: object) -> "grpc.RpcMethodHandler[Any, Any]":
    request_type = GetMessageClass(method.input_type)
    offered = getattr(servicer, method.name, None)
    if method.server_streaming:
        stream = _guarded_stream(offered or _not_offered_stream(method), request_type)
        return grpc.unary_stream_rpc_method_handler(stream, response_serializer=_serialise)
    unary = _guarded_unary(offered or _not_offered(method), request_type)
    return grpc.unary_unary_rpc_method_handler(unary, response_serializer=_serialise)


def _guarded_unary(
    behaviour: Callable[[Message, Context], Awaitable[Message]], request_type: type[Message]
) -> Callable[[bytes, Context], Awaitable[Message]]:
    async def handle(data: bytes, context: Context) -> Message:
        try:
            return await behaviour(_parse(request_type, data), context)
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except Exception as error:  # the border: everything becomes a status
            await _abort(context, error)
            raise AssertionError("abort returns never") from error

    return handle


def _guarded_stream(
    behaviour: Callable[[Message, Context], AsyncIterator[Message]], request_type: type[Message]
) -> Callable[[bytes, Context], AsyncIterator[Message]]:
    async def handle(data: bytes, context: Context) -> AsyncIterator[Message]:
        try:
            async for message in behaviour(_parse(request_type, data), context):
                yield message
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except Exception as error:  # noqa: BLE001 - the border: everything becomes a status
            await _abort(context, error)

    return handle


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
