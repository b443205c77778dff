"""A neighbouring version, as far as the wire can tell: a relay through which messages lose, or gain, fields."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

RELEASED = Path(__file__).parents[2] / "protos" / "released.binpb"
HEALTH = "/grpc.health.v1.Health/"
UNKNOWN = b"\xf8\x7c\x01"
"""Field 1999, a varint: of a version to come."""

Change = Callable[[bytes, object], bytes]
"""What becomes of a message; the descriptor is its type's, as it was released."""


def narrowed(data: bytes, descriptor) -> bytes:
    """All that the release knows, and nothing else."""
    message = GetMessageClass(descriptor).FromString(data)
    message.DiscardUnknownFields()
    return message.SerializeToString()


def widened(data: bytes, _descriptor) -> bytes:
    """Something more than anybody knows."""
    return data + UNKNOWN


def released_methods() -> dict[str, MethodDescriptor]:
    """RPCs of the last release, by path."""
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(RELEASED.read_bytes()).file:
        pool.Add(file)
    files = [pool.FindFileByName(f"specsched/v1/{name}.proto") for name in ("scheduler", "worker")]
    services = [service for file in files for service in file.services_by_name.values()]
    return {f"/{service.full_name}/{method.name}": method for service in services for method in service.methods}


class _Relay(grpc.GenericRpcHandler):
    def __init__(self, channel: grpc.aio.Channel, change: Change) -> None:
        self._channel = channel
        self._change = change
        self._methods = released_methods()

    def service(self, details):
        path, method = details.method, self._methods.get(details.method)
        if path.startswith(HEALTH):
            return self._passed(path, lambda data: data, lambda data: data, streams=path.endswith("Watch"))
        if method is None:
            return None  # the release does not have it: UNIMPLEMENTED
        there = lambda data: self._change(data, method.input_type)  # noqa: E731
        back = lambda data: self._change(data, method.output_type)  # noqa: E731
        return self._passed(path, there, back, streams=method.server_streaming)

    def _passed(self, path, there, back, *, streams):
        async def stream(data, _context):
            async for answer in self._channel.unary_stream(path)(there(data)):
                yield back(answer)

        async def unary(data, _context):
            return back(await self._channel.unary_unary(path)(there(data)))

        return grpc.unary_stream_rpc_method_handler(stream) if streams else grpc.unary_unary_rpc_method_handler(unary)


@asynccontextmanager
async def neighbour(target: str, folder: Path, change: Change) -> AsyncIterator[str]:
    """Relay to a service; yields where it is reached as a neighbouring version."""
    address = f"unix:{folder}/neighbour.sock"
    server = grpc.aio.server()
    async with grpc.aio.insecure_channel(target) as channel:
        server.add_generic_rpc_handlers((_Relay(channel, change),))
        server.add_insecure_port(address)
        await server.start()
        try:
            yield address
        finally:
            await server.stop(0)
