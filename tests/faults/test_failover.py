"""Workers that hang, die of a request, or fail one: rows move on, the cause is refused, and the service goes on."""

import asyncio
import os
import signal
from contextlib import aclosing

import pytest
from structlog.testing import capture_logs

from specsched.dispatch.patience import Patience
from specsched.errors import PoisonRequest
from specsched.records import FinishReason, Stopping
from tests.helpers.faulty_engine import BUG, DIES, FAILS, HANGS
from tests.helpers.service import ask, scripted_service, scripted_tokens

PROMPT = (20, 21, 22)
HASTY = Patience(keepalive_seconds=0.4, round_seconds=0.6)


async def collected(client, request):
    """Tokens as they were streamed; the account must agree."""
    said = ()
    async with aclosing(client.generate(request)) as answers:
        async for answer in answers:
            if hasattr(answer, "finish_reason"):
                assert answer.token_ids == said
                return said
            said += answer.token_ids
    raise AssertionError("no account")


async def test_a_stopped_worker_is_noticed_killed_and_replaced(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.01, patience=HASTY) as served:
        call = asyncio.create_task(collected(served.client, ask(max_tokens=200)))
        await asyncio.sleep(0.2)
        stopped = served.launcher.pids[0]
        os.kill(stopped, signal.SIGSTOP)
        assert await call == scripted_tokens(PROMPT, 200)
        assert stopped not in served.launcher.pids
        assert served.launcher.restarts == 1


async def test_an_engine_that_hangs_is_noticed_by_its_rounds(tmp_path):
    async with scripted_service(tmp_path, workers=2, round_seconds=0.01, patience=HASTY) as served:
        bystanders = [asyncio.create_task(collected(served.client, ask(f"b{i}", max_tokens=150))) for i in range(6)]
        await asyncio.sleep(0.1)
        with pytest.raises(PoisonRequest, match="2 workers"):
            await served.client.complete(ask("hang", prompt=(HANGS, 0)))
        assert set(await asyncio.gather(*bystanders)) == {scripted_tokens(PROMPT, 150)}
        with pytest.raises(PoisonRequest, match="refused for another"):
            await served.client.complete(ask("again", prompt=(HANGS, 0)))


async def test_who_kills_workers_is_refused_and_nobody_else(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.01, max_resumes=8) as served:
        with capture_logs() as lines:
            bystanders = [asyncio.create_task(collected(served.client, ask(f"b{i}", max_tokens=90))) for i in range(5)]
            with pytest.raises(PoisonRequest):
                await served.client.complete(ask("poison", prompt=(DIES, 7)))
            assert set(await asyncio.gather(*bystanders)) == {scripted_tokens(PROMPT, 90)}
        restarts = served.launcher.restarts
        assert restarts <= 5  # at most two before it gets there, one in company, two on trial
        with pytest.raises(PoisonRequest):
            await served.client.complete(ask("poison-2", prompt=(DIES, 7)))
        assert (await served.client.complete(ask("like it", prompt=(DIES, 900)))).token_ids
        assert served.launcher.restarts == restarts
    assert [line["request_id"] for line in lines if line["event"] == "request_quarantined"] == ["poison"]


@pytest.mark.parametrize("prompt", [(FAILS, 0), (BUG,)])
async def test_a_failing_job_takes_no_worker_out(tmp_path, prompt):
    async with scripted_service(tmp_path, round_seconds=0.01) as served:
        other = asyncio.create_task(collected(served.client, ask("other", max_tokens=90)))
        with capture_logs() as lines, pytest.raises(PoisonRequest):
            await served.client.complete(ask("bad", prompt=prompt))
        assert await other == scripted_tokens(PROMPT, 90)
        assert served.launcher.restarts == 0
    assert not [line for line in lines if line["event"] == "worker_not_ready"]


async def test_a_retry_right_after_a_cancel_is_taken(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.05) as served:
        for _ in range(5):
            async with aclosing(served.client.generate(ask(max_tokens=2000))) as stream:
                await anext(stream)
            await asyncio.sleep(0)
            while served.scheduler.running:
                await asyncio.sleep(0.001)
            assert (await served.client.complete(ask(max_tokens=3))).token_ids == scripted_tokens(PROMPT, 3)


async def test_a_crash_loop_backs_off_and_shows_in_health(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.0) as served:
        with capture_logs() as lines:
            for _ in range(3):
                pid = served.launcher.pids[0]
                os.kill(pid, signal.SIGKILL)
                async with asyncio.timeout(20.0):
                    while not served.launcher.pids or served.launcher.pids[0] == pid:
                        await asyncio.sleep(0.005)
            await served.client.ready(20.0)
        died = [line for line in lines if line["event"] in ("worker_died", "worker_crash_loop")]
        assert [line["restart_in_seconds"] for line in died] == [0.05, 0.1, 0.2]
        assert [line["event"] for line in died] == ["worker_died", "worker_died", "worker_crash_loop"]
        assert {line["reason"] for line in died} == {"killed"}
        assert [line["serving"] for line in lines if line["event"] == "health"][-1]


async def test_time_that_passes_without_a_worker_is_the_requests_own(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.02) as served:
        served.launcher._backoff = type(served.launcher._backoff)(30.0, 30.0)
        stopping = Stopping(max_tokens=2000, max_time_seconds=0.6)
        call = asyncio.create_task(served.client.complete(ask(stopping=stopping)))
        await asyncio.sleep(0.2)
        os.kill(served.launcher.pids[0], signal.SIGKILL)
        completion = await asyncio.wait_for(call, 5.0)
        assert completion.finish_reason is FinishReason.TIME_LIMIT
        assert completion.token_ids == scripted_tokens(PROMPT, len(completion.token_ids))
