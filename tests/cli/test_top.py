"""`specsched top`: frames made of what a real endpoint serves."""

import asyncio
import io
import socket

import pytest
from prometheus_client import CollectorRegistry
from rich.console import Console
from typer.testing import CliRunner

from specsched.cli.frame import frame
from specsched.cli.main import app
from specsched.records import ClassProbabilities, Decision, Plan, RoundRecord, WorkerLoad
from specsched.telemetry.endpoint import metrics_endpoint
from specsched.telemetry.metrics import SchedulerMetrics
from specsched.telemetry.scrape import Change, scrape
from specsched.telemetry.service_metrics import CallMetrics, WorkerMetrics

CLASSES = ("chat", "code")


class Service:
    """A service's metrics without the service."""

    def __init__(self):
        self.registry = CollectorRegistry()
        self.calls = CallMetrics(self.registry, ("Generate",), ("OK", "INTERNAL"))
        self.meter = SchedulerMetrics(self.registry, ("small", "ngram"), CLASSES, 3, ("worker-0",))
        self.workers = WorkerMetrics(self.registry, {"a": "worker-0"})

    def request(self, *, code="OK"):
        decision = Decision(ClassProbabilities(CLASSES, (0.2, 0.8)), Plan("small", 3, 3))
        self.meter.decided(decision, 0.001)
        self.meter.round("acme", "code", RoundRecord("small", 3, 2, 1, 0.01, 0.02))
        self.meter.round("acme", "code", RoundRecord("small", 3, 1, 1, 0.01, 0.02))
        self.meter.goodput("code", 90.0)
        self.meter.speedup("code", 1.5)
        self.meter.plain_decoding(60.0)
        self.meter.loads([WorkerLoad("worker-0", 1, 0, 0, 25, 100, 12.5, 1)])
        self.meter.queued(4)
        self.workers.changed("a", ready=True)
        self.calls.ended("Generate", code, 0.1)


def shown(change):
    out = io.StringIO()
    Console(file=out, width=160).print(frame(change))
    return " ".join(out.getvalue().split())


async def test_a_frame_tells_what_happened_between_two_looks():
    service = Service()
    service.request()
    async with metrics_endpoint("127.0.0.1:0", service.registry) as address:
        before = scrape(address, 10.0)
        for _ in range(6):
            service.request()
        service.request(code="INTERNAL")
        text = shown(Change(before, scrape(address, 12.0)))
    assert "requests/s 3.50 failed/s 0.50 queue 4 plain tokens/s 60.0 mean γ 3.00 acceptance length 2.50" in text
    assert "class goodput tok/s × plain ngram small code 90.0 1.50 – 0.50" in text
    assert "small · · · 7" in text
    assert "worker-0 yes 25% 12.5" in text


async def test_a_fresh_service_has_a_frame_too():
    async with metrics_endpoint("127.0.0.1:0", Service().registry) as address:
        text = shown(Change(None, scrape(address, 0.0)))
    assert "requests 0 failed 0 queue 0 plain tokens/s –" in text
    assert "nothing yet" in text
    assert "worker-0 no 0% 0.0" in text


async def test_counters_of_a_service_that_started_again_count_from_there():
    first, second = Service(), Service()
    for _ in range(5):
        first.request()
    second.request()
    async with metrics_endpoint("127.0.0.1:0", first.registry) as address:
        before = scrape(address, 0.0)
    async with metrics_endpoint("127.0.0.1:0", second.registry) as address:
        assert Change(before, scrape(address, 1.0)).count("requests_total", method="Generate") == 1


async def test_once_prints_a_frame():
    service = Service()
    service.request()
    async with metrics_endpoint("127.0.0.1:0", service.registry) as address:
        result = await asyncio.to_thread(CliRunner().invoke, app, ["top", "--once", "--metrics", address])
    assert result.exit_code == 0
    assert "requests 1" in result.output
    assert "worker-0" in result.output


@pytest.mark.parametrize("address", [None, "localhost", "127.0.0.1:x"])
def test_no_endpoint_is_told_in_one_line(address):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = address or f"127.0.0.1:{free.getsockname()[1]}"
    result = CliRunner().invoke(app, ["top", "--once", "--metrics", address])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: no metrics at http://{address}/metrics: ")
    assert result.stderr.count("\n") == 1
