"""Ten times what fits: those that are admitted keep their pace, the rest hear when to come back, memory stays flat."""

import asyncio
import time
from contextlib import aclosing
from statistics import median

import psutil
import pytest

from specsched.errors import Overloaded
from specsched.records import Completion
from tests.helpers.service import ask, scripted_service

ROOM = 8
TOKENS = 60


async def pace(client, name):
    """Seconds per token after the first round of one call."""
    started = None
    async with aclosing(client.generate(ask(name, max_tokens=TOKENS))) as answers:
        async for answer in answers:
            started = started or time.monotonic()
            if isinstance(answer, Completion):
                return (time.monotonic() - started) / (TOKENS - 3)
    raise AssertionError("no account")


async def caller(client, name, until, paces, refusals):
    """Call again and again; who is refused comes back a little sooner than told."""
    number = 0
    while time.monotonic() < until:
        try:
            paces.append(await pace(client, f"{name}-{number}"))
        except Overloaded as error:
            refusals.append(error.retry_after_seconds)
            await asyncio.sleep(min(0.05, error.retry_after_seconds))
        number += 1


async def overload(folder, seconds):
    async with scripted_service(folder, round_seconds=0.02, max_requests=ROOM) as served:
        alone = [await asyncio.gather(*(pace(served.client, f"a{i}-{n}") for n in range(ROOM))) for i in range(3)]
        undisturbed = median(each for run in alone for each in run)
        paces: list[float] = []
        refusals: list[float] = []
        until = time.monotonic() + seconds
        callers = [
            asyncio.create_task(caller(served.client, f"c{i}", until, paces, refusals)) for i in range(10 * ROOM)
        ]
        await asyncio.sleep(min(2.0, seconds / 3))
        before = psutil.Process().memory_info().rss
        await asyncio.gather(*callers)
        grown = psutil.Process().memory_info().rss - before
    return undisturbed, paces, refusals, grown


async def test_who_is_refused_is_told_when_to_come_back(tmp_path):
    _, paces, refusals, _ = await overload(tmp_path, 2.0)
    assert len(paces) >= ROOM
    assert len(refusals) > len(paces)
    assert min(refusals) > 0


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_thirty_seconds_of_ten_times_the_load(tmp_path):
    """The scripted round sleeps, so a pace of 1.5 times is the scheduler's doing, unless the machine is busy."""
    undisturbed, paces, refusals, grown = await overload(tmp_path, 30.0)
    print(f"pace {undisturbed:.5f} → {median(paces):.5f}, {len(paces)} served, {len(refusals)} refused, +{grown} bytes")
    assert median(paces) <= 1.5 * undisturbed
    assert len(refusals) > 0
    assert min(refusals) > 0
    assert grown < 32 * 2**20
