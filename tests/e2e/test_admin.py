"""Operators turn a running service: real processes, real sockets, scripted models."""

import asyncio
import os
import signal
from contextlib import aclosing

import pytest
import pytest_asyncio
import yaml

from specsched.errors import InvalidRequest
from specsched.records import Completion, Output
from tests.helpers.operated import CONFIG, operated_service
from tests.helpers.service import ask, scripted_tokens

PROMPT = (20, 21, 22)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory):
    """One service for all tests that leave it as they found it."""
    async with operated_service(tmp_path_factory.mktemp("service"), round_seconds=0.004) as running:
        yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def as_before(service):
    yield
    await service.admin.set_speculation(enabled=True)
    await service.admin.set_draft_state("draft", "active")
    await service.admin.reload_config(CONFIG)


def refused_fields(caught):
    return {violation.field for violation in caught.value.violations}


async def gammas(client, name="r", *, max_tokens=30):
    """γ of every round of a completion."""
    request = ask(name, max_tokens=max_tokens, output=Output(include_rounds=True))
    async with aclosing(client.generate(request)) as answers:
        return [answer.round.gamma async for answer in answers if not isinstance(answer, Completion)]


async def test_the_configuration_is_shown_and_can_be_given_back(service):
    view = await service.admin.config()
    assert yaml.safe_load(view.yaml)["policy"]["gamma"] == 2
    assert view.config_sha == view.history[0].config_sha
    assert await service.admin.reload_config(view.yaml) == ()


async def test_a_reload_changes_decisions_and_says_so(service):
    (change,) = await service.admin.reload_config(CONFIG.replace("2", "4"))
    assert (change.field, change.before, change.after) == ("policy.gamma", "2", "4")
    completion = await service.served.client.complete(ask(max_tokens=10))
    assert completion.decision.plan.gamma == 4
    assert completion.decision.config_sha == (await service.admin.config()).config_sha
    await service.admin.rollback_config()
    assert (await service.served.client.complete(ask(max_tokens=10))).decision.plan.gamma == 2
    assert [version.origin for version in (await service.admin.config()).history][:2] == ["rollback", "call"]


async def test_all_that_is_wrong_is_told_at_once_by_field(service):
    with pytest.raises(InvalidRequest) as caught:
        await service.admin.reload_config("policy: {gamma: 65}\nserver: {adress: x}")
    assert refused_fields(caught) == {"policy.gamma", "server.adress"}
    with pytest.raises(InvalidRequest) as caught:
        await service.admin.reload_config(
            "policy: {kind: fixed, draft_model: who, disabled_drafts: [nobody]}\nworkers: {count: 9}"
        )
    assert refused_fields(caught) == {"policy.draft_model", "policy.disabled_drafts", "workers.count"}
    with pytest.raises(InvalidRequest) as caught:
        await service.admin.rollback_config("nothing")
    assert refused_fields(caught) == {"config_sha"}


async def test_validating_only_changes_nothing(service):
    (change,) = await service.admin.reload_config(CONFIG.replace("2", "3"), validate_only=True)
    assert change.after == "3"
    assert (await service.served.client.complete(ask(max_tokens=10))).decision.plan.gamma == 2


async def test_the_kill_switch_reaches_running_requests_and_workers_that_start_again(service):
    client, launcher = service.served.client, service.served.launcher
    running = asyncio.create_task(gammas(client, "running", max_tokens=300))
    await asyncio.sleep(0.1)
    await service.admin.set_speculation(enabled=False)
    assert not (await service.admin.drafts()).speculation_enabled
    assert set(await gammas(client, "after")) == {0}
    os.kill(launcher.pids[0], signal.SIGKILL)
    during = await running
    assert (during[0], during[-1]) == (2, 0)
    assert sorted(during, reverse=True) == during, "once off it stays off, also on the worker that started again"
    assert (await client.complete(ask("whole"))).token_ids == scripted_tokens(PROMPT, 30)
    await service.admin.set_speculation(enabled=True)
    assert 2 in await gammas(client, "on again")


async def test_a_draft_that_drains_serves_who_has_it_and_nobody_new(service):
    client = service.served.client
    running = asyncio.create_task(gammas(client, "running", max_tokens=200))
    await asyncio.sleep(0.1)
    await service.admin.set_draft_state("draft", "draining")
    assert set(await gammas(client, "new")) == {0}
    assert set((await running)[:-1]) == {2}
    states = {draft.id: draft.state for draft in (await service.admin.drafts()).drafts}
    assert states == {"draft": "draining", "ngram": "active"}


async def test_a_disabled_draft_is_used_by_no_round(service):
    running = asyncio.create_task(gammas(service.served.client, "running", max_tokens=300))
    await asyncio.sleep(0.1)
    await service.admin.set_draft_state("draft", "disabled")
    during = await running
    assert (during[0], during[-1]) == (2, 0)


async def test_a_configuration_disables_drafts_too(service):
    await service.admin.reload_config(CONFIG.replace("gamma: 2", "gamma: 2, disabled_drafts: [draft]"))
    assert set(await gammas(service.served.client)) == {0}
    assert {draft.id: draft.state for draft in (await service.admin.drafts()).drafts}["draft"] == "disabled"


async def test_unknown_drafts_and_states_are_told_together(service):
    with pytest.raises(InvalidRequest) as caught:
        await service.admin.set_draft_state("nobody", "asleep")
    assert refused_fields(caught) == {"draft_model", "state"}
    with pytest.raises(InvalidRequest):
        await service.admin.unload_draft("nobody")


async def test_drafts_are_unloaded_and_loaded(service):
    await service.admin.unload_draft("draft")
    assert {d.id: d.residency for d in (await service.admin.drafts()).drafts}["draft"] == "evicted"
    assert set(await gammas(service.served.client)) == {0}
    await service.admin.load_draft("draft")
    assert {d.id: d.residency for d in (await service.admin.drafts()).drafts}["draft"] == "resident"


@pytest.mark.parametrize("count", [24, pytest.param(500, marks=pytest.mark.slow)])
async def test_reloads_under_load_fail_no_request(service, count):
    """Half of them are invalid."""
    client, ended = service.served.client, asyncio.Event()

    async def load(who):
        served = 0
        while not ended.is_set():
            completion = await client.complete(ask(f"{who}-{served}", max_tokens=12))
            assert completion.token_ids == scripted_tokens(PROMPT, 12)
            served += 1
        return served

    callers = [asyncio.create_task(load(who)) for who in range(4)]
    refused = 0
    for number in range(count):
        bad = number % 2
        text = CONFIG.replace("gamma: 2", f"gamma: {'99' if bad else 1 + number // 2 % 8}")
        try:
            await service.admin.reload_config(text)
        except InvalidRequest:
            refused += 1
    ended.set()
    assert min(await asyncio.gather(*callers)) > 0
    assert refused == count // 2
