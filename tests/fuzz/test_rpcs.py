"""Whatever bytes come in, every RPC answers in its own words: no INTERNAL, no crash, no hang."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from specsched.dispatch.fake import FakeDispatcher
from specsched.engine.fake import ScriptedEngine, scripted_token
from specsched.engine.thread import EngineThread
from specsched.policy.exchange import cells_to_json
from specsched.policy.memory import Cell
from specsched.records import Chunk, FinishReason, RoundRecord
from specsched.scheduler.scheduler import Scheduler
from specsched.server.process import ADMIN, SCHEDULER, TELEMETRY
from specsched.server.servicer import SchedulerServicer
from specsched.server.telemetry import TelemetryServicer
from specsched.telemetry.sinks.broadcast import Broadcast
from specsched.v1 import admin_pb2, common_pb2, scheduler_pb2, worker_pb2
from specsched.wire.rpc import CODES, service_handler
from specsched.worker.servicer import WorkerServicer
from tests.helpers.acceptance import acceptance
from tests.helpers.fuzzing import Entropy, called, mutate, request_class
from tests.helpers.operated import operated
from tests.helpers.service import parts_over

WORKER = worker_pb2.DESCRIPTOR.services_by_name["WorkerService"]
SERVICES = {service.name: service for service in (SCHEDULER, ADMIN, TELEMETRY, WORKER)}
RPCS = [(service.name, method.name) for service in SERVICES.values() for method in service.methods]
STREAMS_AND_PROMPTS = ("Generate", "Decide", "Execute")

RECORD = acceptance()
REGIME = (False, True)

QUICK, FULL = 3_000, 110_000
"""Inputs over all RPCs; the three that take prompts get half of them."""

_SAMPLED = common_pb2.SamplingParams(temperature=0.5)
BASES = {
    "Generate": scheduler_pb2.GenerateRequest(text="the cat", stopping={"max_tokens": 4}, sampling=_SAMPLED),
    "Decide": scheduler_pb2.DecideRequest(text="the cat", sampling=_SAMPLED),
    "ReloadConfig": admin_pb2.ReloadConfigRequest(yaml="policy: {kind: adaptive, max_gamma: 3}"),
    "ImportPolicy": admin_pb2.ImportPolicyRequest(
        json=cells_to_json([Cell(*REGIME, "draft", "", "chat", 1, 2.0, 1.0)])
    ),
    "SetDraftState": admin_pb2.SetDraftStateRequest(draft_model="draft", state="DRAFT_STATE_DRAINING"),
    "ResetPolicy": admin_pb2.ResetPolicyRequest(prompt_class="chat"),
    "LoadDraft": admin_pb2.LoadDraftRequest(draft_model="draft"),
    "UnloadDraft": admin_pb2.UnloadDraftRequest(draft_model="ngram"),
    "Execute": worker_pb2.ExecuteRequest(
        request_id="r", prompt_ids=[9, 8], max_tokens=4, plan={"draft_model": "draft", "gamma": 2, "max_gamma": 2}
    ),
}


class Handlers:
    """Handlers of all four services as they are, over an engine and a dispatcher that play scripts."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self._start(folder))

    async def _start(self, folder: Path) -> None:
        self.thread = EngineThread(ScriptedEngine)
        await self.thread.start()
        self._records = Broadcast(lambda _count: None, capacity=8, max_listeners=8)
        parts = parts_over(FakeDispatcher(_script))
        scheduler = Scheduler(replace(parts, sink=self._records))
        admin, _ = operated(scheduler, folder / "specsched.yaml", "policy: {kind: adaptive}")
        servicers = {
            SCHEDULER: SchedulerServicer(scheduler),
            ADMIN: admin,
            TELEMETRY: TelemetryServicer(self._records),
            WORKER: WorkerServicer(self.thread, partial(asyncio.sleep, 0)),
        }
        self._handlers = {s.full_name: service_handler(s, servicer) for s, servicer in servicers.items()}

    def call(self, service: str, method: str, data: bytes) -> grpc.StatusCode:
        full = SERVICES[service].full_name
        handler = self._handlers[full].service(_Details(f"/{full}/{method}"))
        return self.loop.run_until_complete(asyncio.wait_for(self._called(handler, data), 20.0))

    async def _called(self, handler, data: bytes) -> grpc.StatusCode:
        call = asyncio.ensure_future(called(handler, data))
        await asyncio.sleep(0)
        if self._records._listeners:  # for ever, unless its caller hangs up
            self._records.put(RECORD)
            await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            return grpc.StatusCode.CANCELLED
        return await call

    def close(self) -> None:
        assert not self._records._listeners
        assert self.loop.run_until_complete(self.thread.load()).running_rows == 0
        self.loop.run_until_complete(self.thread.stop())
        self.loop.close()


class _Details:
    def __init__(self, method: str) -> None:
        self.method = method
        self.invocation_metadata = ()


def _script(job):
    for position in range(len(job.generated_ids), min(job.max_tokens, 6)):
        last = position + 1 == min(job.max_tokens, 6)
        token = scripted_token(job, position, 320)
        yield Chunk((token,), (), RoundRecord("draft", 1, 0, 1, 0.0, 0.0), FinishReason.LENGTH if last else None)


@pytest.fixture(scope="module")
def handlers(tmp_path_factory):
    made = Handlers(tmp_path_factory.mktemp("operated"))
    yield made
    made.close()


def allowed(code: grpc.StatusCode) -> bool:
    return code.name in CODES and code is not grpc.StatusCode.INTERNAL


def fuzz(handlers, service, method, examples):
    request_type, base = request_class(SERVICES[service], method), BASES.get(method)

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(("mutated", "made", "raw")), st.binary(min_size=0, max_size=160))
    def holds(kind, data):
        if kind == "raw":
            wire = data
        else:
            message = request_type()
            if base is not None and kind == "mutated":
                message.CopyFrom(base)
            wire = mutate(message, Entropy(data)).SerializeToString()
        code = handlers.call(service, method, wire)
        assert allowed(code), (code, wire)

    holds()


def share(method: str, total: int) -> int:
    heavy = method in STREAMS_AND_PROMPTS
    return total // (2 * len(STREAMS_AND_PROMPTS)) if heavy else total // (2 * (len(RPCS) - len(STREAMS_AND_PROMPTS)))


@pytest.mark.parametrize(("service", "method"), RPCS)
def test_every_rpc_answers_anything(handlers, service, method):
    if method == "Drain":
        pytest.skip("takes the worker out for good; its message is empty")
    fuzz(handlers, service, method, share(method, QUICK))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("service", "method"), RPCS)
def test_every_rpc_answers_anything_at_length(handlers, service, method):
    if method == "Drain":
        pytest.skip("takes the worker out for good; its message is empty")
    fuzz(handlers, service, method, share(method, FULL))


def test_the_numbers_of_inputs_are_those_that_are_claimed():
    fuzzed = [method for _, method in RPCS if method != "Drain"]
    assert sum(share(method, QUICK) for method in fuzzed) >= 2_000
    assert sum(share(method, FULL) for method in fuzzed) >= 100_000
