"""Real processes over real sockets: streams survive workers, callers may leave, and the service goes on."""

import asyncio
import os
import signal
from contextlib import aclosing

import pytest

from specsched.errors import Overloaded, Unavailable
from specsched.records import FinishReason
from tests.helpers.service import ask, scripted_service, scripted_tokens

PROMPT = (20, 21, 22)


async def test_a_worker_is_killed_and_every_token_comes_once(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.01) as served:
        answers = []
        async with aclosing(served.client.generate(ask(max_tokens=120))) as stream:
            async for answer in stream:
                answers.append(answer)
                if len(answers) in (5, 15):
                    os.kill(served.launcher.pids[0], signal.SIGKILL)
        *chunks, complete = answers
        assert served.launcher.restarts == 2
    assert sum((chunk.token_ids for chunk in chunks), ()) == complete.token_ids == scripted_tokens(PROMPT, 120)


async def test_requests_of_a_dead_worker_move_to_the_living_one(tmp_path):
    async with scripted_service(tmp_path, workers=2, round_seconds=0.005) as served:
        calls = [asyncio.create_task(served.client.complete(ask(f"r{i}", max_tokens=90))) for i in range(6)]
        await asyncio.sleep(0.15)
        os.kill(served.launcher.pids[0], signal.SIGKILL)
        completions = await asyncio.gather(*calls)
    assert {completion.token_ids for completion in completions} == {scripted_tokens(PROMPT, 90)}


async def test_sigterm_lets_running_requests_end_and_takes_no_more(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.01) as served:
        call = asyncio.create_task(served.client.complete(ask(max_tokens=90)))
        await asyncio.sleep(0.1)
        served.terminate()
        await asyncio.sleep(0.05)
        with pytest.raises(Unavailable):
            await served.client.complete(ask("late"))
        assert (await call).token_ids == scripted_tokens(PROMPT, 90)
        await asyncio.wait_for(served.ended, 5.0)


async def test_what_outlasts_the_drain_is_told_so(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.02, drain_seconds=0.2) as served:
        call = asyncio.create_task(served.client.complete(ask(max_tokens=2000)))
        await asyncio.sleep(0.1)
        served.terminate()
        assert (await call).finish_reason is FinishReason.ABORTED
        await asyncio.wait_for(served.ended, 5.0)


async def test_a_reader_that_stops_reading_blocks_nobody(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.0) as served:
        async with aclosing(served.client.generate(ask("slow", max_tokens=2000))) as slow:
            await anext(slow)
            others = [served.client.complete(ask(f"r{i}", max_tokens=60)) for i in range(8)]
            assert {c.token_ids for c in await asyncio.gather(*others)} == {scripted_tokens(PROMPT, 60)}
            rest = [answer async for answer in slow]
        assert rest[-1].token_ids == scripted_tokens(PROMPT, 2000)


async def test_beyond_its_room_the_service_says_when_to_come_back(tmp_path):
    async with (
        scripted_service(tmp_path, round_seconds=0.01, max_requests=1) as served,
        aclosing(served.client.generate(ask(max_tokens=300))) as stream,
    ):
        await anext(stream)
        with pytest.raises(Overloaded) as caught:
            await served.client.complete(ask("other"))
    assert caught.value.retry_after_seconds > 0
