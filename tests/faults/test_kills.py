"""Workers die at random moments under load; callers leave at random moments. Every token comes once, no row stays."""

import asyncio
import os
import random
import signal
from contextlib import aclosing

import pytest

from specsched.client import Client
from specsched.client.retries import Retries
from specsched.records import Completion
from tests.helpers.service import ask, scripted_service, scripted_tokens

TOKENS = 180
PATIENT = Retries(calls=10)
"""Calls that begin while both workers are dead are told to come back; streams that have begun are never broken."""


async def whole(client, name, prompt):
    """A stream, held against what the target says undisturbed, delta by delta."""
    said = ()
    async with aclosing(client.generate(ask(name, prompt=prompt, max_tokens=TOKENS))) as answers:
        async for answer in answers:
            if isinstance(answer, Completion):
                assert answer.token_ids == said == scripted_tokens(prompt, TOKENS)
                return
            said += answer.token_ids
            assert said == scripted_tokens(prompt, len(said))
    raise AssertionError("no account")


async def load(client, stop, caller):
    """One caller after another until it is told to stop; returns how many were served."""
    served = 0
    while not stop.is_set():
        await whole(client, f"c{caller}-{served}", (20 + caller, 30 + served % 50))
        served += 1
    return served


async def kill_under_load(folder, kills):
    rng, stop = random.Random(kills), asyncio.Event()
    async with (
        scripted_service(folder, workers=2, round_seconds=0.004, max_resumes=50) as served,
        Client(served.address, retries=PATIENT) as client,
    ):
        callers = [asyncio.create_task(load(client, stop, number)) for number in range(6)]
        killed = 0
        while killed < kills:
            await asyncio.sleep(rng.uniform(0.0, 0.25))
            if pids := served.launcher.pids:
                os.kill(rng.choice(pids), signal.SIGKILL)
                killed += 1
        stop.set()
        assert sum(await asyncio.gather(*callers)) >= len(callers)
        assert served.launcher.restarts > 0
        assert served.scheduler.running == 0


async def test_streams_survive_kills_at_random_moments(tmp_path):
    await kill_under_load(tmp_path, 5)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_streams_survive_a_hundred_kills(tmp_path):
    await kill_under_load(tmp_path, 100)


async def leave(client, name, rng, prompt=(20, 21)):
    """Call, and hang up at a random moment."""
    call = asyncio.create_task(client.complete(ask(name, prompt=prompt, max_tokens=2000)))
    await asyncio.sleep(rng.uniform(0.0, 0.06))
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


async def cancel_under_load(folder, cancels):
    rng = random.Random(cancels)
    async with scripted_service(folder, round_seconds=0.003) as served:
        for first in range(0, cancels, 20):
            await asyncio.gather(*(leave(served.client, f"r{first + i}", rng) for i in range(20)))
        async with asyncio.timeout(10.0):
            while served.scheduler.running or served.scheduler.loads()[0].running_rows:
                await asyncio.sleep(0.01)
        completion = await served.client.complete(ask("after", prompt=(20, 21), max_tokens=30))
        assert completion.token_ids == scripted_tokens((20, 21), 30)


async def test_callers_that_leave_at_random_moments_leave_nothing(tmp_path):
    await cancel_under_load(tmp_path, 60)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_thousand_callers_that_leave_leave_nothing(tmp_path):
    await cancel_under_load(tmp_path, 1000)
