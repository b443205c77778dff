"""Messages out of entropy, for any descriptor, and a call of a handler without a socket."""

from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_INTS = (1, 2, 3, 7, 0, -1, 64, 300, 4096, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 2**64 - 1)
_FLOATS = (0.5, 1.0, 0.0, 0.9, 2.0, -1.0, 1e-30, 5e-324, 1e308, float("inf"), float("-inf"), float("nan"))
_STRINGS = (
    "the cat",
    "draft",
    "none",
    "user",
    "chat",
    "",
    "r1",
    "ngram",
    "é\x00\u2028",
    "x" * 5_000,
    "\U0001f600" * 40,
    "../../etc/passwd",
    "%s{}${x}",
    "policy: {kind: fixed, draft_model: draft, gamma: 99, max_gamma: 3}",
    '{"format": "specsched-policy", "version": 1, "cells": [{"position": 1e999}]}',
)
_RANGES = {
    Field.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    Field.CPPTYPE_UINT32: (0, 2**32 - 1),
    Field.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    Field.CPPTYPE_UINT64: (0, 2**64 - 1),
}


@dataclass
class Entropy:
    """Bytes as choices; when they are used up every choice is the first one."""

    data: bytes
    position: int = 0

    def byte(self) -> int:
        self.position += 1
        return self.data[self.position - 1] if self.position <= len(self.data) else 0

    def pick(self, options: Any) -> Any:
        return options[self.byte() % len(options)]


def mutate(message: Message, entropy: Entropy, depth: int = 0) -> Message:
    """Set some fields to something that their type can hold, extremes included."""
    for each in message.DESCRIPTOR.fields:
        if entropy.byte() > (170 if depth else 215):
            _set(message, each, entropy, depth)
    return message


def _set(message: Message, each: Field, entropy: Entropy, depth: int) -> None:
    if each.message_type is not None and each.message_type.GetOptions().map_entry:
        _set_map(message, each, entropy, depth)
    elif each.is_repeated:
        values = getattr(message, each.name)
        for _ in range(entropy.pick((1, 2, 3, 0, 200 if each.message_type is None else 5))):
            if each.message_type is None:
                values.append(_scalar(each, entropy))
            else:
                mutate(values.add(), entropy, depth + 1)
    elif each.message_type is not None:
        child = getattr(message, each.name)
        child.SetInParent()
        if depth < 6:
            mutate(child, entropy, depth + 1)
    else:
        setattr(message, each.name, _scalar(each, entropy))


def _set_map(message: Message, each: Field, entropy: Entropy, depth: int) -> None:
    key, value = each.message_type.fields_by_name["key"], each.message_type.fields_by_name["value"]
    for _ in range(entropy.pick((1, 2, 0, 3))):
        at = _scalar(key, entropy)
        if value.message_type is None:
            getattr(message, each.name)[at] = _scalar(value, entropy)
        else:
            mutate(getattr(message, each.name)[at], entropy, depth + 1)


def _scalar(each: Field, entropy: Entropy) -> Any:
    kind = each.cpp_type
    if kind in _RANGES:
        least, most = _RANGES[kind]
        return max(least, min(most, entropy.pick(_INTS)))
    if kind == Field.CPPTYPE_ENUM:
        return entropy.pick((1, 0, 2, 3, 99, -5, 2**31 - 1))
    if kind == Field.CPPTYPE_BOOL:
        return bool(entropy.byte() % 2)
    if kind == Field.CPPTYPE_STRING:
        return entropy.pick(_STRINGS) if each.type == Field.TYPE_STRING else bytes(entropy.data[:64])
    return entropy.pick(_FLOATS) if kind == Field.CPPTYPE_DOUBLE else min(3e38, max(-3e38, entropy.pick(_FLOATS)))


class Aborted(grpc.aio.AbortError):
    """What a context raises."""


@dataclass
class FakeContext:
    """As much of a call's context as our handlers ask for."""

    status: grpc.StatusCode = grpc.StatusCode.OK
    trailer: tuple = field(default=())

    async def abort(self, code, details="", trailing_metadata=()):
        self.status, self.trailer = code, trailing_metadata
        raise Aborted

    def code(self):
        return self.status

    def invocation_metadata(self):
        return ()

    def time_remaining(self):
        return None

    def peer(self):
        return "test"


async def called(handler: grpc.RpcMethodHandler, data: bytes, most_answers: int = 50) -> grpc.StatusCode:
    """Call a handler of `wire.rpc`; a stream is left after so many answers, as a caller would leave it."""
    context = FakeContext()
    try:
        if handler.response_streaming:
            answers = handler.unary_stream(data, context)
            try:
                async for answer in answers:
                    handler.response_serializer(answer)
                    most_answers -= 1
                    if not most_answers:
                        break
            finally:
                await answers.aclose()
        else:
            handler.response_serializer(await handler.unary_unary(data, context))
    except Aborted:
        pass
    return context.status


def request_class(service, method: str) -> type[Message]:
    """Of an RPC."""
    return GetMessageClass(service.methods_by_name[method].input_type)
