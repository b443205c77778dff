"""A reader that lags gets what it has missed together, and a row waits for one that has missed too much."""

import asyncio
import os
from contextlib import aclosing

from specsched.dispatch.grpc import GrpcDispatcher
from specsched.records import Job, Plan, Sampling
from specsched.worker.launcher import Launcher
from tests.helpers.service import ROOT, scripted_command, scripted_tokens

PROMPT = (20, 21)
TOKENS = 300


async def test_what_a_reader_has_missed_comes_together():
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    job = Job("r", PROMPT, Sampling(temperature=0.0), Plan("draft", 2), 0, max_tokens=TOKENS)
    async with (
        Launcher(1, scripted_command(0.002), env) as launcher,
        GrpcDispatcher().connect(launcher.addresses) as dispatcher,
    ):
        await dispatcher.ready()
        async with aclosing(dispatcher.execute(job)) as chunks:
            got = [await anext(chunks)]
            await asyncio.sleep(0.5)
            got += [chunk async for chunk in chunks]
    assert tuple(token for chunk in got for token in chunk.token_ids) == scripted_tokens(PROMPT, TOKENS)
    assert sum(chunk.more for chunk in got) >= 16  # of the 32 that wait before the row does
