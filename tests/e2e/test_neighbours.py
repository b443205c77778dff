"""Neighbouring versions understand each other: the last release's contract, and one with fields to come."""

import asyncio
import os
from contextlib import asynccontextmanager

import pytest

from specsched.client import Client
from specsched.dispatch.grpc import GrpcDispatcher
from specsched.errors import CallFailed, NotOffered, SpecschedError
from specsched.records import DraftSwitches
from specsched.worker.launcher import Launcher
from tests.helpers.neighbour import narrowed, released_methods, widened
from tests.helpers.neighbour import neighbour as reached_through
from tests.helpers.service import ROOT, ask, scheduler_over, scripted_command, scripted_service, scripted_tokens

PROMPT = (20, 21, 22)
both = pytest.mark.parametrize("change", [narrowed, widened])


@asynccontextmanager
async def scheduler_beside(folder, change):
    """A scheduler whose worker is of a neighbouring version, and to which it is one."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    async with (
        Launcher(1, scripted_command(0.0), env) as launcher,
        reached_through(launcher.addresses[0], folder, change) as address,
    ):
        dispatcher = GrpcDispatcher()
        async with dispatcher.connect((address,)), asyncio.timeout(30.0):
            await dispatcher.ready()
            yield scheduler_over(dispatcher), dispatcher


async def completed(scheduler, request):
    answers = [answer async for answer in scheduler.generate(request)]
    return answers[-1]


@both
async def test_a_worker_of_a_neighbouring_version_serves(tmp_path, change):
    async with scheduler_beside(tmp_path, change) as (scheduler, dispatcher):
        completion = await completed(scheduler, ask(max_tokens=30))
        assert completion.token_ids == scripted_tokens(PROMPT, 30)
        assert completion.speculation.num_spec_steps > 0  # its drafts are there, though it says little of them
        await dispatcher.switch(DraftSwitches(speculation=False))
        assert (await completed(scheduler, ask("plain", max_tokens=9))).speculation.num_spec_steps == 0


async def test_what_a_worker_of_the_last_release_cannot_do_is_said(tmp_path):
    async with scheduler_beside(tmp_path, narrowed) as (_, dispatcher):
        with pytest.raises((NotOffered, CallFailed)):
            await dispatcher.load_draft("draft")
        with pytest.raises((NotOffered, CallFailed)):
            await dispatcher.profile(dispatcher.workers()[0].worker_id)
        assert dispatcher.workers()


@both
async def test_a_caller_of_a_neighbouring_version_is_served(tmp_path, change):
    async with (
        scripted_service(tmp_path) as served,
        reached_through(served.address, tmp_path, change) as address,
        Client(address) as client,
    ):
        await client.ready(10.0)
        assert (await client.complete(ask(max_tokens=30))).token_ids == scripted_tokens(PROMPT, 30)
        decision = await client.decide(ask(prompt=PROMPT))
        assert decision.plan.draft_model == "draft"
        assert (await client.get_model_info()).drafts
        with pytest.raises(SpecschedError):
            await client.abort("nobody", tenant="acme")


def test_the_release_is_older_than_what_is_tested():
    assert "/specsched.v1.WorkerService/Execute" in released_methods()
    assert "/specsched.v1.WorkerService/AttachDraft" not in released_methods()
