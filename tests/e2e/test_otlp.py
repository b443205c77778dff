"""Traces, metrics and records as a collector sees them, from a service around scripted workers."""

import asyncio
import time
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import grpc
import pytest
from prometheus_client import CollectorRegistry

from specsched.cli.otlp import otlp_tracer
from specsched.cli.sinks import NAMES, acceptance_sinks
from specsched.config.sections.otlp import Otlp
from specsched.config.sections.telemetry import Telemetry
from specsched.dispatch.fake import FakeDispatcher
from specsched.errors import InvalidRequest
from specsched.records import Chunk, Counterfactual, FinishReason, RoundRecord, SpeculationHint, TextPrompt
from specsched.scheduler.scheduler import Scheduler
from specsched.telemetry.metrics import SchedulerMetrics
from specsched.telemetry.service_metrics import SinkMetrics
from specsched.v1 import scheduler_pb2, scheduler_pb2_grpc
from tests.helpers.otlp import attributes, otlp_receiver
from tests.helpers.service import ask, parts_over, scripted_service

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CALLERS_TRACE, CALLERS_SPAN = bytes.fromhex(CALLER[3:35]), bytes.fromhex(CALLER[36:52])


OUTCOME = Counterfactual("ngram", 2.0, (1.0,), (0.5,))


def two_rounds(_job):
    yield Chunk((9, 9, 9), (), RoundRecord("draft", 2, 2, 1, 0.1, 0.2))
    yield Chunk((9,), (), RoundRecord("draft", 2, 0, 1, 0.1, 0.2), FinishReason.LENGTH, hindsight=(OUTCOME,))


@asynccontextmanager
async def traced(url, dispatcher, *, ratio=1.0, **otlp):
    """A scheduler that sends everything to a collector; what is left is sent at the end."""
    section = Telemetry(otlp_endpoint=url, otlp=Otlp(records=True, sampling_ratio=ratio, flush_seconds=0.05, **otlp))
    registry = CollectorRegistry()
    sinks, meter = SinkMetrics(registry, NAMES), SchedulerMetrics(registry, ("draft", "ngram"), ("chat",), 2)
    async with (
        otlp_tracer(section, "target", sinks, registry) as tracer,
        acceptance_sinks(section, sinks) as sink,
    ):
        parts = replace(parts_over(dispatcher), meter=meter, sink=sink, tracer=tracer)
        yield Scheduler(parts), registry


async def run(scheduler, request):
    async with aclosing(scheduler.generate(request)) as answers:
        return [answer async for answer in answers][-1]


async def test_a_request_is_a_span_with_a_child_for_each_verb():
    dispatcher = FakeDispatcher(two_rounds)
    async with otlp_receiver() as received, traced(received.url, dispatcher) as (scheduler, _):
        await run(scheduler, replace(ask("r", tenant="acme"), trace_parent=CALLER, prompt=TextPrompt("secret")))
    root = received.span("text_completion target")
    assert (root.trace_id, root.parent_span_id) == (CALLERS_TRACE, CALLERS_SPAN)
    children = {span.name: span for span in received.spans if span.parent_span_id == root.span_id}
    assert set(children) == {"classify", "decide", "queue", "dispatch"}
    assert {span.trace_id for span in received.spans} == {CALLERS_TRACE}
    (job,) = dispatcher.jobs
    assert job.trace_parent == f"00-{CALLERS_TRACE.hex()}-{children['dispatch'].span_id.hex()}-01"
    told = attributes(root)
    assert told["gen_ai.operation.name"] == "text_completion"
    assert told["gen_ai.request.model"] == "target"
    assert told["gen_ai.usage.output_tokens"] == 4
    assert told["gen_ai.response.finish_reasons"] == ["length"]
    assert (told["specsched.tenant"], told["specsched.draft_model"], told["specsched.gamma"]) == ("acme", "draft", 2)
    assert "secret" not in str(received.spans)
    assert received.service == "specsched"


async def test_a_refused_request_is_a_span_with_its_reason():
    async with otlp_receiver() as received, traced(received.url, FakeDispatcher(two_rounds)) as (scheduler, _):
        with pytest.raises(InvalidRequest):
            await run(scheduler, ask(speculation=SpeculationHint(draft_model="nobody")))
    root = received.span("text_completion target")
    assert attributes(root)["error.type"] == "INVALID_REQUEST"
    assert root.status.code == 2
    assert "nobody" not in str(root)


async def test_what_a_caller_decided_on_sampling_stands():
    async with otlp_receiver() as received:
        async with traced(received.url, FakeDispatcher(two_rounds), ratio=0.0) as (scheduler, _):
            await run(scheduler, ask("left out"))
            await run(scheduler, replace(ask("r"), trace_parent=CALLER))
        async with traced(received.url, FakeDispatcher(two_rounds), ratio=1.0) as (scheduler, _):
            await run(scheduler, replace(ask("also left out"), trace_parent=CALLER[:-1] + "0"))
    root = received.span("text_completion target")
    assert attributes(root)["specsched.request_id"] == "r"


async def test_metrics_are_those_that_prometheus_scrapes():
    dispatcher = FakeDispatcher(two_rounds)
    async with otlp_receiver() as received, traced(received.url, dispatcher) as (scheduler, registry):
        await run(scheduler, ask())
    families = [family for family in registry.collect() if family.samples]
    names = {family.name + "_total" * (family.type == "counter") for family in families}
    assert set(received.metrics) == names
    labels = {"draft": "draft", "prompt_class": "chat"}
    name = "specsched_spec_decode_num_draft_tokens_total"
    points = {tuple(attributes(point).values()): point for point in received.metrics[name].sum.data_points}
    assert points["draft", "chat"].as_double == registry.get_sample_value(name, labels) == 4
    (pace,) = received.metrics["specsched_time_per_output_token_seconds"].histogram.data_points
    assert pace.count == sum(pace.bucket_counts) == 1
    assert len(pace.bucket_counts) == len(pace.explicit_bounds) + 1
    assert received.metrics["specsched_goodput_tokens_per_second"].HasField("gauge")


async def test_acceptance_records_come_as_logs():
    async with otlp_receiver() as received, traced(received.url, FakeDispatcher(two_rounds)) as (scheduler, _):
        await run(scheduler, ask("r"))
    first, second = map(attributes, received.logs)
    assert (first["request_id"], first["round_index"], second["round_index"]) == ("r", 0, 1)
    assert (first["num_accepted"], second["num_accepted"], first["propensity"]) == (2, 0, 1.0)
    assert "hindsight" not in first
    assert "'draft_model': 'ngram', 'rounds': 2.0" in second["hindsight"]
    assert received.logs[0].event_name == "specsched.acceptance"


async def test_a_closed_collector_delays_no_request_and_its_losses_are_counted():
    dispatcher = FakeDispatcher(two_rounds)
    async with traced("http://127.0.0.1:1", dispatcher, timeout_seconds=0.2) as (scheduler, registry):
        started = time.perf_counter()
        for number in range(20):
            await run(scheduler, ask(f"r{number}"))
        assert time.perf_counter() - started < 2.0
    lost = "specsched_telemetry_dropped_total"
    assert registry.get_sample_value(lost, {"sink": "otlp_spans"}) == 20 * 5
    assert registry.get_sample_value(lost, {"sink": "otlp_records"}) == 20 * 2


async def test_a_callers_trace_reaches_the_worker_over_grpc(tmp_path):
    async with (
        scripted_service(tmp_path) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        jobs = []
        execute = served.scheduler._parts.dispatcher.execute
        served.scheduler._parts.dispatcher.execute = lambda job: jobs.append(job) or execute(job)
        stub = scheduler_pb2_grpc.SchedulerServiceStub(channel)
        message = scheduler_pb2.GenerateRequest(request_id="r", text="x")
        for metadata in ((("traceparent", CALLER),), (("traceparent", "no such thing"),), ()):
            answers = [answer async for answer in stub.Generate(message, metadata=metadata)]
            assert answers[-1].complete.finish_reason
    assert [job.trace_parent for job in jobs] == [CALLER, "", ""]
    await asyncio.sleep(0)
