"""A service around one scripted worker whose metrics can be scraped; and what a scrape says."""

import asyncio
import os
import socket
import urllib.request
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from specsched.classify.fake import FixedClassifier
from specsched.cli.sinks import NAMES
from specsched.client import Client
from specsched.dispatch.grpc import GrpcDispatcher
from specsched.policy.fixed import FixedPolicy
from specsched.scheduler.admission.admission import Admission
from specsched.scheduler.admission.limits import Limits
from specsched.scheduler.reading import Reader
from specsched.scheduler.scheduler import Parts, Scheduler
from specsched.server.process import METHODS, run_server
from specsched.telemetry.endpoint import metrics_endpoint
from specsched.telemetry.metrics import SchedulerMetrics
from specsched.telemetry.service_metrics import CallMetrics, ConfigMetrics, RestartMetrics, SinkMetrics, WorkerMetrics
from specsched.wire.rpc import CODES
from specsched.wire.serving import GrpcServer
from specsched.worker.backoff import Backoff
from specsched.worker.keeper import REASONS
from specsched.worker.launcher import Launcher
from tests.helpers.service import ROOT, scripted_command, snapshot_of
from tests.helpers.text import byte_tokenizer

ROUND_SECONDS = 0.005


@dataclass
class Metered:
    """A running service and where its metrics are."""

    client: Client
    launcher: Launcher
    address: str
    metrics_address: str

    async def scrape(self):
        """Samples by name, without `specsched_`, and values of the labels, in the order of the labels' names."""
        return samples_of(await asyncio.to_thread(read, self.metrics_address))

    async def until(self, name, value, seconds=10.0):
        """Scrape until a sample has a value."""
        async with asyncio.timeout(seconds):
            while (await self.scrape())[name] != value:
                await asyncio.sleep(0.02)

    async def until_above(self, name, value, seconds=10.0):
        """Scrape until a sample is above a value."""
        async with asyncio.timeout(seconds):
            while (await self.scrape())[name] <= value:
                await asyncio.sleep(0.02)


def read(address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        return answer.read().decode()


def samples_of(text):
    return {
        "/".join((sample.name.removeprefix("specsched_"), *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def moved(before, after):
    """What counted on, and by how much; how long things took nobody can foretell."""
    counters = [name for name in after if name.split("/")[0].endswith(("_total", "_count"))]
    return {name: after[name] - before[name] for name in counters if after[name] != before[name]}


@asynccontextmanager
async def metered_service(folder):
    """One scripted worker, one row's room, everything wired to one registry."""
    registry, tokenizer, dispatcher = CollectorRegistry(), byte_tokenizer(), GrpcDispatcher()
    ConfigMetrics(registry, "abc")
    SinkMetrics(registry, NAMES)
    classifier = FixedClassifier()
    parts = Parts(
        tokenizer=tokenizer,
        reader=Reader(tokenizer, classifier),
        snapshot=snapshot_of(FixedPolicy("draft", 2)),
        admission=Admission(Limits(1, 10_000)),
        dispatcher=dispatcher,
        meter=SchedulerMetrics(registry, ("draft", "ngram"), classifier.classes, 2, ("worker-0",)),
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    restarted = RestartMetrics(registry, REASONS).restarted
    launcher = Launcher(1, scripted_command(ROUND_SECONDS), env, Backoff(0.3, 0.3), restarted)
    server = GrpcServer(f"unix:{folder}/s.sock", max_message_bytes=2**20)
    async with metrics_endpoint("127.0.0.1:0", registry) as metrics_address, launcher:
        workers = WorkerMetrics(registry, launcher.names)
        assert metrics_address is not None
        before = samples_of(await asyncio.to_thread(read, metrics_address))
        assert before["worker_up/worker-0"] == 0
        async with dispatcher.connect(launcher.addresses, (workers.changed,)), Client(server.address) as client:
            observe = CallMetrics(registry, METHODS, CODES).ended
            served = run_server(
                server, Scheduler(parts), dispatcher, drain_seconds=5.0, failed=launcher.failed, observe=observe
            )
            running = asyncio.create_task(served)
            try:
                await client.ready(20.0)
                yield Metered(client, launcher, server.address, metrics_address)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
