"""Requests that wait in the scheduler: called in turn, ended by an abort or by their own time, kept apart by tenant."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from specsched.errors import DuplicateRequest, UnknownRequest
from specsched.records import Completion, FinishReason, Stopping
from tests.helpers.gated import Gated
from tests.helpers.service import ask, scheduler_over


async def complete(scheduler, request):
    async for answer in scheduler.generate(request):
        if isinstance(answer, Completion):
            return answer
    raise AssertionError


@asynccontextmanager
async def full():
    """A scheduler whose row and spare place are taken."""
    dispatcher = Gated()
    scheduler = scheduler_over(dispatcher)
    first = [asyncio.create_task(complete(scheduler, ask(name))) for name in ("a", "b")]
    while len(dispatcher.jobs) < 2:
        await asyncio.sleep(0.001)
    yield scheduler, dispatcher
    dispatcher.gate.set()
    await asyncio.gather(*first)
    assert scheduler.running == 0
    assert scheduler.queued == 0


async def queued(scheduler, count):
    while scheduler.queued < count:
        await asyncio.sleep(0.001)


async def test_one_beyond_the_rows_waits_and_is_dispatched_in_its_turn():
    async with full() as (scheduler, dispatcher):
        third = asyncio.create_task(complete(scheduler, ask("c")))
        await queued(scheduler, 1)
        assert [job.request_id for job in dispatcher.jobs] == ["a", "b"]
        dispatcher.gate.set()
        assert (await third).token_ids == (9,)


async def test_a_request_whose_time_is_over_before_its_turn_costs_no_work():
    async with full() as (scheduler, dispatcher):
        late = await complete(scheduler, ask("c", stopping=Stopping(max_tokens=5, max_time_seconds=0.02)))
        assert (late.finish_reason, late.token_ids) == (FinishReason.TIME_LIMIT, ())
        assert len(dispatcher.jobs) == 2
        patient = asyncio.create_task(
            complete(scheduler, ask("d", stopping=Stopping(max_tokens=5, max_time_seconds=60.0)))
        )
        await queued(scheduler, 1)
        await asyncio.sleep(0.02)
        dispatcher.gate.set()
        await patient
        assert dispatcher.jobs[-1].time_limit_seconds < 59.99


async def test_an_abort_reaches_one_that_waits():
    async with full() as (scheduler, _):
        waits = asyncio.create_task(complete(scheduler, ask("c")))
        await queued(scheduler, 1)
        scheduler.abort("c")
        assert (await waits).finish_reason is FinishReason.ABORTED


async def test_a_caller_that_leaves_while_it_waits_leaves_no_trace():
    async with full() as (scheduler, _):
        waits = asyncio.create_task(complete(scheduler, ask("c")))
        await queued(scheduler, 1)
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        assert scheduler.queued == 0


async def test_ids_are_each_tenants_own():
    async with full() as (scheduler, _):
        with pytest.raises(DuplicateRequest):
            await complete(scheduler, ask("a"))
        other = asyncio.create_task(complete(scheduler, ask("a", tenant="other")))
        await queued(scheduler, 1)
        with pytest.raises(UnknownRequest):
            scheduler.abort("a", ("third",))
        scheduler.abort("a", ("other",))
        assert (await other).finish_reason is FinishReason.ABORTED
