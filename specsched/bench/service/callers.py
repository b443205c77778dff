"""Callers of `Generate` that do no more than they must: bytes out, bytes in, and when they came."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, pairwise
from typing import Any

import grpc

from specsched.bench.service.player import METHOD, SERVICE
from specsched.v1 import scheduler_pb2

Ask = Callable[[], Awaitable["Call"]]


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as its caller saw it. Times are this machine's monotonic clock's."""

    sent: float
    arrivals: tuple[tuple[float, bytes], ...]

    @property
    def ended(self) -> float:
        """When its last message came."""
        return self.arrivals[-1][0]

    @property
    def seconds_to_first(self) -> float:
        """From its sending to its first chunk."""
        return self.arrivals[0][0] - self.sent

    @property
    def complete(self) -> scheduler_pb2.GenerateComplete:
        """Its account."""
        return scheduler_pb2.GenerateResponse.FromString(self.arrivals[-1][1]).complete

    def answers(self) -> list[scheduler_pb2.GenerateResponse]:
        """Its messages, parsed."""
        return [scheduler_pb2.GenerateResponse.FromString(message) for _, message in self.arrivals]

    def seconds_per_token(self) -> list[float]:
        """Pauses between its chunks, by the tokens of the later one."""
        chunks = [len(answer.chunk.token_ids) for answer in self.answers()[:-1]]
        pauses = [later - earlier for (earlier, _), (later, _) in pairwise(self.arrivals[:-1])]
        return [pause / tokens for pause, tokens in zip(pauses, chunks[1:], strict=True) if tokens]

    def own_seconds(self) -> list[float]:
        """What lies between caller and worker for every message, where rounds say when they were ready."""
        chunks = [answer.chunk.round for answer in self.answers()[:-1]]
        ready = [record.verify_seconds for record in chunks]
        there = ready[0] - self.sent
        return [there, *(came - at for (came, _), at in zip(self.arrivals[:-1], ready, strict=True))]


class Caller:
    """Calls one server, with prompts in turn."""

    def __init__(self, channel: grpc.aio.Channel, requests: Sequence[scheduler_pb2.GenerateRequest]) -> None:
        self._generate: Any = channel.unary_stream(f"/{SERVICE}/{METHOD}")  # without serializers: bytes
        self._requests = cycle([request.SerializeToString() for request in requests])

    async def ask(self) -> Call:
        """Make the next call, and wait for its end."""
        sent = time.monotonic()
        arrivals = [(time.monotonic(), message) async for message in self._generate(next(self._requests))]
        return Call(sent, tuple(arrivals))


@asynccontextmanager
async def calling(address: str, requests: Sequence[scheduler_pb2.GenerateRequest]) -> AsyncGenerator[Caller]:
    """Call a server as soon as it is there."""
    async with grpc.aio.insecure_channel(address) as channel:
        await channel.channel_ready()
        yield Caller(channel, requests)


async def closed_loop(ask: Ask, callers: int, calls: int) -> list[Call]:
    """Have so many callers make calls, each its next one when the last has ended."""
    left, made = iter(range(calls)), []

    async def keep_asking() -> None:
        made.extend([await ask() for _ in left])

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(keep_asking())
    return made


async def open_loop(ask: Ask, per_second: float, calls: int, draw: random.Random) -> list[Call]:
    """Make calls at the moments of a Poisson process, whether or not earlier ones have ended."""
    started, tasks = time.monotonic(), []
    at = 0.0
    async with asyncio.TaskGroup() as group:
        for _ in range(calls):
            at += draw.expovariate(per_second)
            await asyncio.sleep(max(0.0, started + at - time.monotonic()))
            tasks.append(group.create_task(_made(ask)))
    return [task.result() for task in tasks]


async def _made(ask: Ask) -> Call:
    return await ask()


def rate(calls: Sequence[Call]) -> float:
    """Calls per second, from the first one's sending to the last one's end."""
    return len(calls) / (max(call.ended for call in calls) - min(call.sent for call in calls))
