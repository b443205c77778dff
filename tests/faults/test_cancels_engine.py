"""A thousand cancels of the real engine, on its thread: no slot of its KV leaks."""

import asyncio
import random
from contextlib import aclosing

import pytest

from specsched.engine.thread import EngineThread
from specsched.policy.base import Arm
from specsched.records import NO_DRAFT
from tests.helpers.tiny import ScriptedController, engine_of, job, perturbed, tiny_network


async def leave(thread, number, rng):
    """Run a job, and leave after a few chunks, in the middle of one, or before the first."""
    prompt = [rng.randrange(64) for _ in range(rng.randrange(1, 40))]

    async def read():
        async with aclosing(thread.execute(job(prompt, request_id=f"r{number % 7}", max_tokens=60))) as chunks:
            async for _ in chunks:
                await asyncio.sleep(0)

    call = asyncio.create_task(read())
    await asyncio.sleep(rng.uniform(0.0, 0.02))
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


async def cancels(count):
    target, rng = tiny_network("llama"), random.Random(count)
    drafts = {"draft": perturbed(target, 0.05)}
    arms = [Arm(NO_DRAFT, 0), Arm("draft", 3), Arm("ngram", 2)]
    engine = engine_of(target, drafts, ScriptedController(lambda name, at: arms[(len(name) + at) % 3]))
    thread = EngineThread(lambda: engine)
    await thread.start()
    for first in range(0, count, 10):
        await asyncio.gather(*(leave(thread, first + i, rng) for i in range(10)))
    async with asyncio.timeout(20.0):
        while (await thread.load()).running_rows or (await thread.load()).waiting_rows:
            await asyncio.sleep(0.01)
    await thread.stop()
    engine.check_integrity()
    assert engine._controller.live == set()


async def test_cancels_leave_no_slot_behind():
    await cancels(40)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_thousand_cancels_leave_no_slot_behind():
    await cancels(1000)
