"""A real Prometheus with the shipped configuration, rules and dashboard, over a running service."""

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager

import pytest

from specsched.bench.served import ServedProcess
from specsched.client import Client
from specsched.errors import InvalidRequest
from specsched.records import SpeculationHint
from tests.helpers.metered import free_address, metered_service, read, samples_of
from tests.helpers.pools import save_pool
from tests.helpers.prometheus import prometheus
from tests.helpers.service import ROOT, ask

NOBODY = SpeculationHint(draft_model="nobody")
DASHBOARD = ROOT / "docker" / "grafana" / "dashboards" / "specsched.json"

AT_ZERO = (
    *("requests_total", "request_duration_seconds_count", "rejected_total", "queue_depth", "queue_wait_seconds_count"),
    *("time_to_first_token_seconds_count", "time_per_output_token_seconds_count"),
    *("spec_decode_num_drafts_total", "spec_decode_num_draft_tokens_total", "spec_decode_num_accepted_tokens_total"),
    *("spec_decode_num_accepted_tokens_per_pos_total", "policy_decisions_total"),
    *("goodput_tokens_per_second", "plain_decoding_tokens_per_second", "speedup_ratio"),
    *("classifier_seconds_count", "decision_seconds_count", "config_reloads_total", "telemetry_dropped_total"),
    *("guard_budget_tokens", "guard_vetoes_total", "worker_up", "worker_restarts_total", "kv_cache_usage_ratio"),
    *("worker_profiles_total", "tenant_draft_tokens_total", "tenant_worker_seconds_total"),
)
"""All metrics of the contract, and `config_info`."""

QUIET = {
    *("config_reloads_total", "guard_vetoes_total", "telemetry_dropped_total", "worker_restarts_total", "queue_depth"),
    "worker_profiles_total",
}
"""What an undisturbed service leaves at zero; each moves in a test of its own."""


def totals(samples):
    return {name: sum(value for key, value in samples.items() if key.split("/")[0] == name) for name in AT_ZERO}


def dashboard_expressions():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", "10s"))
        for panel in panels
        for target in panel.get("targets", ())
    ]


async def test_every_panel_is_answered_by_a_service_under_load(tmp_path):
    async with metered_service(tmp_path) as served, prometheus(tmp_path, served.metrics_address) as seen:
        await seen.until("specsched_worker_up == 1")
        for number in range(8):
            await served.client.complete(ask(f"r{number}", max_tokens=60))
            with pytest.raises(InvalidRequest):
                await served.client.complete(ask(speculation=NOBODY))
            await asyncio.sleep(0.1)
        await seen.until("sum(rate(specsched_spec_decode_num_draft_tokens_total[10s])) > 0")
        answers = {title: await seen.query(expression) for title, expression in dashboard_expressions()}
        assert {title for title, answer in answers.items() if not answer} <= {
            "Speed-up against plain decoding",  # scripted workers profile nothing
            "Goodput and plain decoding",
        }
        ((labels, value),) = answers["Acceptance by class × draft"]
        assert (labels, value) == ({"draft": "draft", "prompt_class": "chat"}, 1.0)
        (group,) = (await seen.ask("rules"))["groups"]
        assert [rule["name"] for rule in group["rules"] if rule["health"] != "ok"] == []
        assert (await seen.ask("alerts"))["alerts"] == []


@asynccontextmanager
async def worker_process(pool, address):
    """`specsched worker`, as its container runs it."""
    env = {**os.environ, "SPECSCHED__WORKERS__PROFILE_SECONDS": "0.2", "SPECSCHED__LOG__LEVEL": "error"}
    command = [sys.executable, "-m", "specsched", "worker", "--listen", address, "--pool", str(pool)]
    process = await asyncio.create_subprocess_exec(*command, env=env)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


@pytest.mark.slow
async def test_the_composed_topology_runs_as_plain_processes(tmp_path):
    pool, worker, metrics = save_pool(tmp_path), free_address(), free_address()
    settings = {
        "SPECSCHED__WORKERS__ADDRESSES": f"['{worker}']",
        "SPECSCHED__TELEMETRY__METRICS_ADDRESS": metrics,
        "SPECSCHED__TELEMETRY__JSONL": f"{{directory: {tmp_path}/records}}",
        "SPECSCHED__STORE__PATH": f"{tmp_path}/learned.sqlite",
        "SPECSCHED__ADMIN__ADDRESS": "127.0.0.1:0",
    }
    arguments = ["--pool", str(pool), "--config", str(ROOT / "docker" / "specsched.yaml")]
    async with worker_process(pool, worker) as process, ServedProcess(arguments, settings) as service:
        before = totals(samples_of(await asyncio.to_thread(read, metrics)))
        assert {name for name, value in before.items() if value} <= {"worker_up", "guard_budget_tokens"}
        async with Client(service.address) as client, prometheus(tmp_path, metrics, "1s") as seen:
            hint = SpeculationHint(draft_model="draft", num_speculative_tokens=2)
            with pytest.raises(InvalidRequest):
                await client.complete(ask(speculation=NOBODY))
            for number in range(6):
                used = client.complete(ask(f"r{number}", prompt=tuple(range(40, 60)), max_tokens=200, speculation=hint))
                await used
            await seen.until("specsched_kv_cache_usage_ratio > 0 or sum(specsched_requests_total) > 6", 30)
            moved = totals(samples_of(await asyncio.to_thread(read, metrics)))
            still = {name for name, value in moved.items() if value <= before[name]}
            assert still <= QUIET | {"worker_up", "guard_budget_tokens", "kv_cache_usage_ratio"}
            assert moved["guard_budget_tokens"] > 0
            await seen.until("specsched_speedup_ratio > 0")
            process.kill()
            await seen.until("specsched_worker_up == 0")
            await seen.until('ALERTS{alertname="SpecschedNoWorker",alertstate="pending"}', 30)


async def test_every_metric_of_the_contract_stands_at_zero_and_moves(tmp_path):
    async with metered_service(tmp_path) as served:
        start = samples_of(await asyncio.to_thread(read, served.metrics_address))
        assert "config_info/abc" in start
        named = {key.split("/")[0] for key in start}
        assert set(AT_ZERO) <= named
        before = totals(start)
        assert {name for name, value in before.items() if value} <= {"worker_up"}
        with pytest.raises(InvalidRequest):
            await served.client.complete(ask(speculation=NOBODY))
        stream = asyncio.create_task(served.client.complete(ask(max_tokens=1500)))
        await served.until_above("kv_cache_usage_ratio/worker-0", 0)
        await stream
        after = totals(await served.scrape())
        still = {name for name, value in after.items() if value <= before[name]}
        assert still <= QUIET | {
            "worker_up",
            *("kv_cache_usage_ratio",),  # above zero while the row ran
            *("guard_budget_tokens", "speedup_ratio", "plain_decoding_tokens_per_second"),  # of real workers
        }
