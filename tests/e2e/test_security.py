"""Tokens and tenants over real calls; and a prompt's text stays out of everything that a service says of itself."""

import asyncio
import hashlib
from contextlib import asynccontextmanager

import grpc
import pytest
import yaml

from specsched.bench.served import ServedProcess
from specsched.records import Caller, Credential, Quota, Role
from specsched.server.auth import TokenGuard
from specsched.server.process import ADMIN, SCHEDULER
from specsched.server.servicer import SchedulerServicer
from specsched.telemetry.audit import AuditList
from specsched.v1 import admin_pb2, admin_pb2_grpc, scheduler_pb2, scheduler_pb2_grpc
from specsched.wire.rpc import Observed, unobserved
from specsched.wire.serving import GrpcServer
from specsched.wire.status import PUSHBACK_KEY
from tests.helpers.gated import Gated
from tests.helpers.pools import save_pool
from tests.helpers.service import scheduler_over

CANARY = "xylophone-canary-9f3"


def credential(token, *roles, tenants=("t",), quota=None):
    digest = hashlib.sha256(token.encode()).digest()
    return Credential(digest, Caller(token, frozenset(roles), tenants, 0, quota or Quota()))


def by(token):
    return (("authorization", f"Bearer {token}"),)


@asynccontextmanager
async def guarded(folder, credentials):
    """A scheduler over a gate, behind tokens."""
    dispatcher, trail = Gated(), AuditList()
    scheduler = scheduler_over(dispatcher)
    guard = TokenGuard(lambda: credentials)
    server = GrpcServer(f"unix:{folder}/s", max_message_bytes=2**20, guard=guard)
    server.add(SCHEDULER, Observed(SchedulerServicer(scheduler)))
    server.add(ADMIN, Observed(object(), unobserved, trail))
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield scheduler_pb2_grpc.SchedulerServiceStub(channel), channel, dispatcher, guard, trail
        dispatcher.gate.set()
    await server.stop(1)


def request(name="r", **fields):
    return scheduler_pb2.GenerateRequest(request_id=name, text="hello", **fields)


async def last(call):
    async for message in call:
        final = message
    return final.complete


async def code_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (last(call) if isinstance(call, grpc.aio.UnaryStreamCall) else call)
    return caught.value


async def test_a_stream_outlives_its_token_and_others_cannot_touch_it(tmp_path):
    known = [credential("a", Role.GENERATE, tenants=("ta",)), credential("b", Role.GENERATE, tenants=("tb",))]
    async with guarded(tmp_path, known) as (stub, _, dispatcher, guard, _trail):
        running = asyncio.create_task(last(stub.Generate(request(), metadata=by("a"))))
        while not dispatcher.jobs:
            await asyncio.sleep(0.001)
        assert dispatcher.jobs[0].tenant == "ta"
        abort = scheduler_pb2.AbortRequest(request_id="r")
        assert (await code_of(stub.Abort(abort, metadata=by("b")))).code() is grpc.StatusCode.NOT_FOUND
        twin = asyncio.create_task(last(stub.Generate(request(), metadata=by("b"))))
        named = scheduler_pb2.AbortRequest(request_id="r", tenant="ta")
        assert (await code_of(stub.Abort(named, metadata=by("b")))).code() is grpc.StatusCode.NOT_FOUND
        foreign = stub.Generate(request("x", tenant="ta"), metadata=by("b"))
        assert (await code_of(foreign)).code() is grpc.StatusCode.PERMISSION_DENIED
        assert (await code_of(stub.Decide(scheduler_pb2.DecideRequest(text="x")))).code() is (
            grpc.StatusCode.UNAUTHENTICATED
        )
        known.pop(0)
        guard.read()()
        late = stub.Generate(request("late"), metadata=by("a"))
        assert (await code_of(late)).code() is grpc.StatusCode.UNAUTHENTICATED
        dispatcher.gate.set()
        assert list((await running).token_ids) == [9]
        assert list((await twin).token_ids) == [9]


async def test_a_quota_is_told_with_a_time_to_come_back(tmp_path):
    limited = credential("a", Role.GENERATE, quota=Quota(max_requests=1))
    async with guarded(tmp_path, [limited]) as (stub, _, dispatcher, _guard, _trail):
        running = asyncio.create_task(last(stub.Generate(request(), metadata=by("a"))))
        while not dispatcher.jobs:
            await asyncio.sleep(0.001)
        error = await code_of(stub.Generate(request("more"), metadata=by("a")))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert int(dict(error.trailing_metadata())[PUSHBACK_KEY]) > 0
        dispatcher.gate.set()
        await running


async def test_the_operators_service_needs_its_role_and_keeps_what_was_tried(tmp_path):
    async with guarded(tmp_path, [credential("a", Role.GENERATE)]) as (_, channel, _d, _g, trail):
        admin = admin_pb2_grpc.AdminServiceStub(channel)
        call = admin.SetSpeculation(admin_pb2.SetSpeculationRequest(), metadata=by("a"))
        assert (await code_of(call)).code() is grpc.StatusCode.PERMISSION_DENIED
    assert [(action.who, action.what, action.result) for action in trail.actions] == [
        ("a", "SetSpeculation", "PERMISSION_DENIED")
    ]


async def test_a_prompt_is_in_nothing_that_a_service_says_of_itself(tmp_path):
    token = "a-token-nobody-guesses"
    tokens = {"tokens": [{"name": "a", "token": token, "roles": ["generate", "admin"]}]}
    config = {
        "server": {"address": "127.0.0.1:0", "tokens_file": "tokens.yaml"},
        "admin": {"address": "127.0.0.1:0", "audit_file": "audit.jsonl"},
        "workers": {"profile_seconds": 0.2},
        "store": {"path": "store.db"},
        "log": {"level": "debug", "format": "json"},
        "telemetry": {"jsonl": {"directory": "records", "flush_seconds": 0.1}},
    }
    (tmp_path / "tokens.yaml").write_text(yaml.safe_dump(tokens))
    (tmp_path / "specsched.yaml").write_text(yaml.safe_dump(config))
    log = tmp_path / "log"
    arguments = ["--config", str(tmp_path / "specsched.yaml"), "--pool", str(save_pool(tmp_path))]
    async with ServedProcess(arguments) as service, grpc.aio.insecure_channel(service.address) as channel:
        stub = scheduler_pb2_grpc.SchedulerServiceStub(channel)
        ask = scheduler_pb2.GenerateRequest(text=CANARY * 3, stopping={"max_tokens": 8})
        await last(stub.Generate(ask, metadata=by(token)))
        errors = [
            await code_of(stub.Generate(bad, metadata=by(token)))
            for bad in (
                scheduler_pb2.GenerateRequest(text=CANARY * 500),
                scheduler_pb2.GenerateRequest(text=CANARY, prompt_class="none", sampling={"top_p": 7}),
                scheduler_pb2.GenerateRequest(text=CANARY, speculation={"draft_model": "nobody"}),
            )
        ]
    log.write_text("".join(service.last_lines))
    said = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "tokens.yaml"]
    assert any("records" in str(path) for path in said)
    assert any(path.name.startswith("store.db") for path in said)
    for path in said:
        content = path.read_bytes()
        assert CANARY.encode() not in content, path
        assert token.encode() not in content, path
    assert "request_complete" in log.read_text()
    for error in errors:
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert CANARY not in str(error.details()) + str(error.trailing_metadata())
