"""A bare relay of calls of `Generate`: `python -m specsched.bench.service.relay ADDRESS TARGET`.

What grpc.aio itself costs between a caller and a worker; what a scheduler spends beyond it is the scheduler's own.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

import grpc

from specsched.bench.service.player import serve
from specsched.v1 import scheduler_pb2, scheduler_pb2_grpc
from specsched.wire.rpc import Context


async def relay(address: str, target: str) -> None:
    """Pass calls on, for ever."""
    stub = scheduler_pb2_grpc.SchedulerServiceStub(grpc.aio.insecure_channel(target))

    async def generate(
        request: scheduler_pb2.GenerateRequest, _context: Context
    ) -> AsyncIterator[scheduler_pb2.GenerateResponse]:
        async for answer in stub.Generate(request):
            yield answer

    await serve(address, generate)


if __name__ == "__main__":
    asyncio.run(relay(*sys.argv[1:]))
