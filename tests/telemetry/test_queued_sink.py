"""The queue between the event loop and a writer: it never waits, and what it loses is counted."""

import asyncio
import threading
import time

import pytest
from prometheus_client import CollectorRegistry

from specsched.telemetry.service_metrics import SinkMetrics
from specsched.telemetry.sinks import queued
from specsched.telemetry.sinks.base import NullSink, Sink
from specsched.telemetry.sinks.fake import FakeSink, FakeWriter
from specsched.telemetry.sinks.fanout import Fanout
from specsched.telemetry.sinks.queued import QueuedSink


class Losses:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, count: int) -> None:
        self.count += count


async def until(condition, seconds=5.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def disk_full() -> None:
    raise OSError(28, "No space left on device")


async def test_items_are_written_in_order_within_the_flush_interval():
    writer, lost = FakeWriter[int](), Losses()
    async with QueuedSink("files", writer, lost, flush_seconds=0.01) as sink:
        for item in range(100):
            sink.put(item)
        await until(lambda: len(writer.items) == 100)
    assert writer.items == list(range(100))
    assert writer.tended
    assert writer.closed
    assert lost.count == 0


async def test_the_end_writes_the_rest():
    writer = FakeWriter[int]()
    async with QueuedSink("files", writer, Losses(), flush_seconds=600) as sink:
        sink.put(1)
    assert writer.items == [1]


async def test_half_a_queue_wakes_the_writer_before_its_time():
    writer = FakeWriter[int]()
    async with QueuedSink("files", writer, Losses(), flush_seconds=600, capacity=8) as sink:
        for item in range(5):
            sink.put(item)
        await until(lambda: writer.items)


async def test_a_writer_that_hangs_delays_nobody_and_its_losses_are_counted(monkeypatch):
    monkeypatch.setattr(queued, "_CLOSE_SECONDS", 0.05)
    go_on, entered, lost = threading.Event(), threading.Event(), Losses()

    def hang():
        entered.set()
        go_on.wait(10)

    async with QueuedSink("otlp", FakeWriter[int](hang), lost, flush_seconds=0.01, capacity=4) as sink:
        sink.put(0)
        await until(entered.is_set)
        started = time.perf_counter()
        for item in range(1000):
            sink.put(item)
        assert time.perf_counter() - started < 0.5
        assert lost.count == 996
    assert lost.count == 1001  # the four that wait and the one in hand are lost with it
    go_on.set()


async def test_a_writer_that_fails_loses_its_items_and_is_tried_again():
    writer, lost = FakeWriter[int](disk_full), Losses()
    async with QueuedSink("files", writer, lost, flush_seconds=0.01) as sink:
        sink.put(1)
        await until(lambda: lost.count == 1)
        writer.obstacle = lambda: None
        sink.put(2)
        await until(lambda: writer.items == [2])
    assert lost.count == 1


def test_a_fanout_hands_on_to_all():
    first, second = FakeSink[int](), FakeSink[int]()
    sink: Sink[int] = Fanout([first, NullSink(), second])
    sink.put(7)
    assert first.items == second.items == [7]


def test_losses_stand_at_zero_and_move():
    registry = CollectorRegistry()
    metrics = SinkMetrics(registry, ("jsonl", "stream"))
    known = registry.get_sample_value
    name = "specsched_telemetry_dropped_total"
    assert [known(name, {"sink": sink}) for sink in ("jsonl", "stream")] == [0, 0]
    metrics.dropped("stream", 3)
    assert known(name, {"sink": "stream"}) == pytest.approx(3)
