"""A server that plays recorded answers: `python -m specsched.bench.service.player ADDRESS FILE SECONDS`.

The file holds messages, each after its length in four bytes. Every call of `Generate` gets all of them, with a pause of
so many seconds before each.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

import grpc

from specsched.v1 import scheduler_pb2
from specsched.wire.rpc import Context

SERVICE, METHOD = "specsched.v1.SchedulerService", "Generate"
_LENGTH_BYTES = 4

Generate = Callable[[scheduler_pb2.GenerateRequest, Context], AsyncIterator[scheduler_pb2.GenerateResponse]]


class Player:
    """Says the same to everybody."""

    def __init__(self, messages: Iterable[bytes], pause_seconds: float) -> None:
        self._answers = [scheduler_pb2.GenerateResponse.FromString(message) for message in messages]
        self._pause = pause_seconds

    async def generate(
        self, _request: scheduler_pb2.GenerateRequest, _context: Context
    ) -> AsyncIterator[scheduler_pb2.GenerateResponse]:
        """Play."""
        for answer in self._answers:
            await asyncio.sleep(self._pause)
            yield answer


def record(messages: Iterable[bytes], file: Path) -> None:
    """Write messages for a player."""
    file.write_bytes(b"".join(len(message).to_bytes(_LENGTH_BYTES, "big") + message for message in messages))


def recorded(file: Path) -> Iterator[bytes]:
    """Read them again."""
    data = file.read_bytes()
    while data:
        end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "big")
        yield data[_LENGTH_BYTES:end]
        data = data[end:]


async def serve(address: str, generate: Generate) -> None:
    """Serve one method as grpc.aio does by itself, for ever."""
    handler = grpc.unary_stream_rpc_method_handler(
        generate,
        request_deserializer=scheduler_pb2.GenerateRequest.FromString,
        response_serializer=scheduler_pb2.GenerateResponse.SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Player(recorded(Path(sys.argv[2])), float(sys.argv[3])).generate))
