"""Live records: bounded for each listener, and a slow one blocks nobody."""

import asyncio
from contextlib import aclosing

import pytest

from specsched.errors import Overloaded
from specsched.telemetry.sinks.broadcast import Broadcast
from tests.helpers.acceptance import acceptance


async def take(listener, count):
    async with aclosing(listener.records()) as records:
        return [(await anext(records)).number for _ in range(count)]


async def test_a_listener_hears_what_it_asked_for_from_now_on():
    broadcast = Broadcast(lambda _count: None, capacity=8, max_listeners=2)
    broadcast.put(acceptance(0))
    with broadcast.listen(lambda record: record.number % 2 == 1) as listener:
        for number in range(1, 6):
            broadcast.put(acceptance(number))
        assert await take(listener, 3) == [1, 3, 5]


async def test_a_slow_listener_loses_records_alone_and_knows_how_many():
    lost = []
    broadcast = Broadcast(lost.append, capacity=2, max_listeners=2)
    with broadcast.listen(lambda _record: True) as slow, broadcast.listen(lambda _record: True) as quick:
        heard = []
        for number in range(5):
            broadcast.put(acceptance(number))
            heard += await take(quick, 1)
        assert heard == [0, 1, 2, 3, 4]
        assert (slow.dropped, quick.dropped, sum(lost)) == (3, 0, 3)
        assert await take(slow, 2) == [0, 1]


async def test_listeners_are_bounded_and_leave():
    broadcast = Broadcast(lambda _count: None, capacity=2, max_listeners=1)
    with broadcast.listen(lambda _record: True), pytest.raises(Overloaded), broadcast.listen(lambda _record: True):
        pass
    with broadcast.listen(lambda _record: True):
        pass


async def test_a_listener_waits_for_what_comes():
    broadcast = Broadcast(lambda _count: None, capacity=2, max_listeners=1)
    with broadcast.listen(lambda _record: True) as listener:
        heard = asyncio.create_task(take(listener, 1))
        await asyncio.sleep(0)
        broadcast.put(acceptance(7))
        assert await heard == [7]
