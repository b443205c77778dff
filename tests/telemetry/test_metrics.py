"""What a scrape shows: zeros before anything happens, then what happened."""

import asyncio
import socket
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from specsched.errors import AddressInUse
from specsched.records import NO_DRAFT, ClassProbabilities, Decision, Plan, RoundRecord, WorkerLoad
from specsched.telemetry.base import Meter, NullMeter
from specsched.telemetry.endpoint import metrics_endpoint
from specsched.telemetry.metrics import REASONS, SchedulerMetrics
from specsched.telemetry.service_metrics import (
    RELOAD_RESULTS,
    CallMetrics,
    ConfigMetrics,
    RestartMetrics,
    WorkerMetrics,
)

CLASSES = ("chat", "code")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def meter(registry: CollectorRegistry) -> SchedulerMetrics:
    return SchedulerMetrics(registry, ("small", "ngram"), CLASSES, 3, ("worker-0",), max_tenants=2)


def samples(registry: CollectorRegistry, prefix: str = "") -> dict[str, float]:
    """Values that are not zero, by name and label values; times of creation left out."""
    return {
        "/".join((sample.name.removeprefix("specsched_"), *sample.labels.values())): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.value and not sample.name.endswith("_created") and sample.name.startswith(f"specsched_{prefix}")
    }


def decision(*, explored: bool = False) -> Decision:
    return Decision(ClassProbabilities(CLASSES, (0.2, 0.8)), Plan("small", 2, 3, explored=explored))


def test_counters_stand_at_zero_before_anything_happens(registry: CollectorRegistry, meter: SchedulerMetrics) -> None:
    assert samples(registry) == {}
    known = registry.get_sample_value
    for labels in ({"draft": "small", "prompt_class": "chat"}, {"draft": "ngram", "prompt_class": "code"}):
        assert known("specsched_spec_decode_num_drafts_total", labels) == 0
    at = {"draft": "small", "position": "3"}
    assert known("specsched_spec_decode_num_accepted_tokens_per_pos_total", at) == 0
    assert [known("specsched_rejected_total", {"reason": reason}) for reason in REASONS] == [0] * len(REASONS)
    plain = {"draft": NO_DRAFT, "gamma": "0", "prompt_class": "chat", "explored": "false"}
    assert known("specsched_policy_decisions_total", plain) == 0


def test_a_rate_that_nobody_knows_yet_is_zero(registry: CollectorRegistry, meter: SchedulerMetrics) -> None:
    known = registry.get_sample_value
    assert known("specsched_plain_decoding_tokens_per_second") == 0
    assert known("specsched_speedup_ratio", {"prompt_class": "chat"}) == 0
    assert known("specsched_goodput_tokens_per_second", {"prompt_class": "chat"}) == 0


def test_workers_figures_are_taken_and_vetoes_counted_over_restarts(
    registry: CollectorRegistry, meter: SchedulerMetrics
) -> None:
    worker = {"worker": "worker-0"}
    names = ("specsched_guard_budget_tokens", "specsched_kv_cache_usage_ratio")
    assert [registry.get_sample_value(name, worker) for name in names] == [0, 0]
    for vetoes in (2, 2, 5, 1):  # the last one after a restart
        meter.loads([WorkerLoad("worker-0", 1, 0, 0, 25, 100, -3.5, vetoes), WorkerLoad("old", 0, 0, 0, 0)])
    assert [registry.get_sample_value(name, worker) for name in names] == [-3.5, 0.25]
    assert registry.get_sample_value("specsched_guard_vetoes_total") == 6
    meter.profiled()
    assert registry.get_sample_value("specsched_worker_profiles_total") == 1


def test_tenants_are_counted_within_a_bound(registry: CollectorRegistry, meter: SchedulerMetrics) -> None:
    def seconds() -> dict[str, float]:
        return samples(registry, "tenant_worker_seconds")

    for tenant in ("other", "default"):
        assert registry.get_sample_value("specsched_tenant_draft_tokens_total", {"tenant": tenant}) == 0
    for tenant in ("", "a", "b", "c", "d", "a"):
        meter.round(tenant, "chat", RoundRecord("small", 3, 2, 4, 0.5, 1.5))
    total = "tenant_worker_seconds_total"
    assert seconds() == {f"{total}/default": 0.5, f"{total}/a": 1.0, f"{total}/b": 0.5, f"{total}/other": 1.0}
    assert samples(registry, "tenant_draft")["tenant_draft_tokens_total/other"] == 6


def test_a_round_is_counted_by_draft_class_and_position(registry: CollectorRegistry, meter: SchedulerMetrics) -> None:
    meter.round("acme", "chat", RoundRecord("small", 3, 2, 1, 0.0, 0.0))
    meter.round("acme", "chat", RoundRecord("small", 2, 0, 1, 0.0, 0.0))
    meter.round("acme", "chat", RoundRecord(NO_DRAFT, 0, 0, 1, 0.0, 0.0))
    assert samples(registry, "spec_decode") == {
        "spec_decode_num_drafts_total/small/chat": 2,
        "spec_decode_num_draft_tokens_total/small/chat": 5,
        "spec_decode_num_accepted_tokens_total/small/chat": 2,
        "spec_decode_num_accepted_tokens_per_pos_total/small/1": 1,
        "spec_decode_num_accepted_tokens_per_pos_total/small/2": 1,
    }


def test_a_decision_is_counted_by_arm_and_class(registry: CollectorRegistry, meter: SchedulerMetrics) -> None:
    meter.decided(decision(), 0.001)
    meter.decided(decision(explored=True), 0.001)
    assert samples(registry, "policy") == {
        "policy_decisions_total/small/2/code/false": 1,
        "policy_decisions_total/small/2/code/true": 1,
    }
    assert samples(registry, "decision_seconds_c") == {"decision_seconds_count": 2}


def test_times_rates_and_refusals_are_kept(registry: CollectorRegistry, meter: SchedulerMetrics) -> None:
    meter.classified(0.5)
    meter.dispatched(0.25)
    meter.first_token(2.0)
    meter.token_pace(0.125)
    meter.queued(7)
    meter.rejected("OVERLOADED")
    meter.goodput("code", 90.0)
    meter.speedup("code", 1.5)
    meter.plain_decoding(60.0)
    assert {name: value for name, value in samples(registry).items() if "bucket" not in name} == {
        "classifier_seconds_count": 1,
        "classifier_seconds_sum": 0.5,
        "queue_wait_seconds_count": 1,
        "queue_wait_seconds_sum": 0.25,
        "time_to_first_token_seconds_count": 1,
        "time_to_first_token_seconds_sum": 2.0,
        "time_per_output_token_seconds_count": 1,
        "time_per_output_token_seconds_sum": 0.125,
        "queue_depth": 7,
        "rejected_total/OVERLOADED": 1,
        "goodput_tokens_per_second/code": 90.0,
        "speedup_ratio/code": 1.5,
        "plain_decoding_tokens_per_second": 60.0,
    }


def test_calls_are_counted_by_method_and_code(registry: CollectorRegistry) -> None:
    calls = CallMetrics(registry, ("Generate", "Abort"), ("OK", "NOT_FOUND"))
    assert registry.get_sample_value("specsched_requests_total", {"method": "Abort", "code": "NOT_FOUND"}) == 0
    calls.ended("Generate", "OK", 2.0)
    assert samples(registry, "requests") == {"requests_total/Generate/OK": 1}
    assert samples(registry, "request_duration_seconds_s") == {"request_duration_seconds_sum/Generate": 2.0}


def test_workers_are_down_until_they_are_up(registry: CollectorRegistry) -> None:
    workers, restarts = (
        WorkerMetrics(registry, {"unix:/a": "worker-0", "b:1": "b:1"}),
        RestartMetrics(registry, ("killed",)),
    )
    up = [registry.get_sample_value("specsched_worker_up", {"worker": name}) for name in ("worker-0", "b:1")]
    assert up == [0, 0]
    workers.changed("unix:/a", ready=True)
    workers.changed("b:1", ready=True)
    workers.changed("b:1", ready=False)
    restarts.restarted("killed")
    assert samples(registry) == {"worker_up/worker-0": 1, "worker_restarts_total": 1, "worker_endings_total/killed": 1}


def test_the_configuration_is_named(registry: CollectorRegistry) -> None:
    config = ConfigMetrics(registry, "abc")
    assert samples(registry) == {"config_info/abc": 1}
    config.reloaded("refused", "def")
    assert samples(registry) == {"config_info/def": 1, "config_reloads_total/refused": 1}
    zeros = [registry.get_sample_value("specsched_config_reloads_total", {"result": each}) for each in RELOAD_RESULTS]
    assert sorted(value for value in zeros if value is not None) == [0, 0, 1]


def test_two_sets_stand_apart(registry: CollectorRegistry, meter: SchedulerMetrics) -> None:
    other = CollectorRegistry()
    SchedulerMetrics(other, ("small",), CLASSES, 3).rejected("OVERLOADED")
    assert samples(registry, "rejected") == {}


def test_the_null_meter_takes_everything() -> None:
    meter: Meter = NullMeter()
    meter.decided(decision(), 0.0)
    meter.round("acme", "chat", RoundRecord("small", 3, 2, 1, 0.0, 0.0))


async def scraped(address: str) -> str:
    def read() -> str:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(read)


async def test_the_endpoint_serves_its_registry_and_ends(registry: CollectorRegistry) -> None:
    RestartMetrics(registry, ()).restarted("killed")
    async with metrics_endpoint("127.0.0.1:0", registry) as address:
        assert address is not None
        assert "specsched_worker_restarts_total 1.0" in await scraped(address)
    with pytest.raises(OSError, match="refused"):
        await scraped(address)
    async with metrics_endpoint(address, registry) as again:
        assert again == address


async def test_without_an_address_nothing_listens(registry: CollectorRegistry) -> None:
    async with metrics_endpoint(None, registry) as address:
        assert address is None


async def test_a_port_in_use_is_told_in_one_line(registry: CollectorRegistry) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        with pytest.raises(AddressInUse, match=f"cannot serve metrics on {address}: Address already in use"):
            async with metrics_endpoint(address, registry):
                pass
