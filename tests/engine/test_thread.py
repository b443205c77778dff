"""The engine's thread: whoever leaves at whatever moment leaves nothing behind."""

import asyncio
import contextlib
from contextlib import aclosing

import pytest

from specsched.engine.fake import ScriptedEngine
from specsched.engine.thread import EngineThread
from specsched.errors import InvalidRequest, WorkerLost
from specsched.records import Job, Plan, Sampling


def job(name, max_tokens=1000):
    return Job(name, (20, 21), Sampling(temperature=0.0), Plan("draft", 2, 2), 0, max_tokens=max_tokens)


async def drained(thread, name, max_tokens):
    async with aclosing(thread.execute(job(name, max_tokens))) as chunks:
        return [token async for chunk in chunks for token in chunk.token_ids]


async def test_a_call_that_is_cancelled_while_it_is_submitted_leaves_no_row():
    engine = ScriptedEngine(round_seconds=0.02)
    thread = EngineThread(lambda: engine)
    await thread.start()
    for number in range(12):
        call = asyncio.create_task(drained(thread, f"r{number}", 1000))
        await asyncio.sleep(0.004 * (number % 4))
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
    assert len(await drained(thread, "last", 6)) == 6
    assert engine.load().running_rows == 0
    await thread.stop()


async def test_an_engine_that_dies_in_the_first_step_is_told_to_its_callers():
    class Doomed(ScriptedEngine):
        def step(self):
            if self.load().running_rows:
                raise RuntimeError("a bug")
            return super().step()

    thread = EngineThread(Doomed)
    await thread.start()
    with pytest.raises(WorkerLost):
        await asyncio.wait_for(drained(thread, "r", 6), 5.0)
    with pytest.raises(WorkerLost):
        await asyncio.wait_for(drained(thread, "later", 6), 5.0)
    with pytest.raises(RuntimeError):
        await thread.ended()


async def test_costs_are_measured_anew_between_jobs_only():
    thread = EngineThread(lambda: ScriptedEngine(round_seconds=0.01))
    version = (await thread.start()).costs.version
    async with aclosing(thread.execute(job("r"))) as chunks:
        await anext(chunks)
        assert not await thread.profile()
    assert await thread.profile()
    assert (await thread.describe()).costs.version == version + 1
    await thread.stop()


async def test_drafts_come_and_go_over_the_thread():
    thread = EngineThread(ScriptedEngine)
    await thread.start()
    info = await thread.load_draft("new")
    assert [draft.id for draft in info.drafts] == ["draft", "ngram", "new"]
    info = await thread.unload_draft("new")
    assert info.drafts[-1].residency == "evicted"
    with pytest.raises(InvalidRequest):
        await thread.unload_draft("ghost")
    await thread.stop()
