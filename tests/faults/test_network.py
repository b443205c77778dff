"""Networks as they are: slow, cut, half-open. Between callers and the service, and between it and its workers."""

import asyncio
import os
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace

import pytest

from specsched.client import Client
from specsched.dispatch.grpc import GrpcDispatcher
from specsched.dispatch.patience import Patience
from specsched.errors import SpecschedError
from specsched.records import Completion
from specsched.scheduler.resume import ResumeLimits
from specsched.scheduler.scheduler import Scheduler
from specsched.worker.launcher import Launcher
from tests.helpers.fault_proxy import FaultProxy, fault_proxy
from tests.helpers.service import ROOT, ask, parts_over, scripted_command, scripted_service, scripted_tokens

PROMPT = (20, 21, 22)
HASTY = Patience(keepalive_seconds=0.4, round_seconds=0.8)


async def idle(served, seconds=10.0):
    """Wait until no request and no row is left."""
    async with asyncio.timeout(seconds):
        while served.scheduler.running or any(load.running_rows for load in served.scheduler.loads()):
            await asyncio.sleep(0.01)


@asynccontextmanager
async def proxied_workers(count):
    """A scheduler whose workers are behind a proxy each, as on other hosts."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    async with AsyncExitStack() as stack:
        launcher = await stack.enter_async_context(Launcher(count, scripted_command(0.01), env))
        proxies = [await stack.enter_async_context(fault_proxy(address)) for address in launcher.addresses]
        dispatcher = GrpcDispatcher(patience=HASTY)
        await stack.enter_async_context(dispatcher.connect([proxy.address for proxy in proxies]))
        async with asyncio.timeout(20.0):
            while len(dispatcher.workers()) < count:
                await asyncio.sleep(0.02)
        parts = replace(parts_over(dispatcher), resume_limits=ResumeLimits(max_resumes=10, wait_seconds=20.0))
        yield Scheduler(parts), proxies, dispatcher


async def complete(scheduler, request, on_chunk=lambda _count: None):
    """Tokens of a completion, as they came."""
    said, count = (), 0
    async with aclosing(scheduler.generate(request)) as answers:
        async for answer in answers:
            if isinstance(answer, Completion):
                assert answer.token_ids == said
                return said
            said += answer.token_ids
            count += 1
            on_chunk(count)
    raise AssertionError("no account")


async def test_a_connection_to_a_worker_that_is_cut_is_taken_up_again():
    async with proxied_workers(1) as (scheduler, (proxy,), _):
        cut = {4, 9, 15}
        said = await complete(scheduler, ask(max_tokens=90), lambda n: proxy.cut() if n in cut else None)
        assert said == scripted_tokens(PROMPT, 90)


async def test_a_half_open_connection_to_a_worker_is_noticed():
    async with proxied_workers(2) as (scheduler, proxies, dispatcher):
        for load in dispatcher.loads():
            assert load.running_rows == 0
        held = asyncio.create_task(complete(scheduler, ask(max_tokens=240)))
        await asyncio.sleep(0.3)
        busy = next(i for i, load in enumerate(dispatcher.loads()) if load.running_rows)
        proxies[busy].blackhole()
        assert await asyncio.wait_for(held, 15.0) == scripted_tokens(PROMPT, 240)
        proxies[busy].heal()
        async with asyncio.timeout(15.0):
            while len(dispatcher.workers()) < 2:
                await asyncio.sleep(0.02)


async def test_a_slow_network_changes_no_token():
    async with proxied_workers(1) as (scheduler, (proxy,), _):
        proxy.delay_seconds = 0.05
        assert await complete(scheduler, ask(max_tokens=60)) == scripted_tokens(PROMPT, 60)


async def test_two_workers_of_one_name_are_told_apart():
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = scripted_command(0.0)
    async with (
        Launcher(2, lambda _worker_id, address: command("same", address), env) as launcher,
        GrpcDispatcher().connect(launcher.addresses) as dispatcher,
    ):
        async with asyncio.timeout(20.0):
            while len(dispatcher.workers()) < 2:
                await asyncio.sleep(0.02)
        names = {worker.worker_id for worker in dispatcher.workers()}
        assert len(names) == 2
        assert {load.worker_id for load in dispatcher.loads()} == names


@pytest.mark.parametrize("vanish", [FaultProxy.cut, FaultProxy.blackhole])
async def test_a_caller_that_vanishes_frees_its_row(tmp_path, vanish):
    async with (
        scripted_service(tmp_path, round_seconds=0.05, caller_keepalive_seconds=0.2) as served,
        fault_proxy(served.address) as proxy,
        Client(proxy.address) as client,
    ):
        call = asyncio.create_task(client.complete(ask(max_tokens=2000)))
        async with asyncio.timeout(10.0):
            while not served.scheduler.loads()[0].running_rows:
                await asyncio.sleep(0.01)
        vanish(proxy)
        await idle(served)
        call.cancel()
        with pytest.raises((SpecschedError, asyncio.CancelledError)):
            await call
        assert (await served.client.complete(ask(max_tokens=6))).token_ids == scripted_tokens(PROMPT, 6)
