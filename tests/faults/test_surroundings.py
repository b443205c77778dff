"""Disks that are full, files that are damaged, ports that are taken, clocks that jump."""

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import specsched
from specsched.errors import AddressInUse
from specsched.policy.memory import Cell
from specsched.policy.sqlite import SqliteStore
from specsched.records import FinishReason
from specsched.scheduler.remembering import Memory
from specsched.wire.serving import GrpcServer
from tests.helpers.service import ROOT, ask, scripted_service, scripted_tokens

PROMPT = (20, 21, 22)
CELL = Cell(
    sampled=True,
    coupled=False,
    draft_model="draft",
    draft_version="v",
    prompt_class="chat",
    position=1,
    accepted=3.0,
    rejected=1.0,
)


class Learning:
    """A policy that always has something new."""

    revision = 0

    def export(self):
        return (CELL,)

    def restore(self, cells):
        self.restored = cells

    def decide(self, context):
        raise AssertionError

    def observe(self, observation):
        raise AssertionError


class FullDisk:
    """A store on a disk that is full, until it is not."""

    full = True

    def load(self):
        return ()

    def save(self, cells):
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        self.kept = cells


async def test_a_full_disk_is_said_and_tried_again():
    policy, store = Learning(), FullDisk()
    memory = Memory(policy, store)
    policy.revision = 1
    with capture_logs() as lines:
        await memory.save()
        await memory.save()
    assert [line["event"] for line in lines] == ["store_failed"]
    store.full = False
    await memory.save()
    assert store.kept == (CELL,)


def test_a_real_disk_that_fills_up_leaves_what_was_kept(tmp_path):
    """A limit on the size of files, in a process of its own."""
    script = """
import resource, signal, sys
from pathlib import Path
from specsched.policy.memory import Cell
from specsched.policy.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
kept = Cell(True, False, "draft", "v", "chat", 1, 3.0, 1.0)
store.save([kept])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    store.save([Cell(True, False, "x" * 50, "v", "chat", position, 1.0, 1.0) for position in range(20_000)])
except Exception as error:
    print(type(error).__module__)
assert store.load() == (kept,), "what was kept is gone"
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "s.sqlite")], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "sqlite3"), done.stderr


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\x00" + b"\x00" * 200, os.urandom(5_000)])
def test_a_corrupt_store_is_set_aside_and_the_service_goes_on(tmp_path, content):
    path = tmp_path / "s.sqlite"
    path.write_bytes(content)
    store = SqliteStore(path)
    assert store.load() == ()
    store.save([CELL])
    assert SqliteStore(path).load() == (CELL,)


async def test_a_port_in_use_is_one_clear_error():
    server = GrpcServer("127.0.0.1:0", max_message_bytes=2**20)
    await server.start()
    with pytest.raises(AddressInUse, match=server.address):
        GrpcServer(server.address, max_message_bytes=2**20)
    await server.stop(0)


async def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    """The wall clock goes back a day and forward a year while a request with limits runs."""
    async with scripted_service(tmp_path, round_seconds=0.005) as served:
        jumps = iter([-86_400.0, 365 * 86_400.0])
        real = time.time
        call = asyncio.create_task(served.client.complete(ask(max_tokens=150), timeout_seconds=20.0))
        for jump in jumps:
            await asyncio.sleep(0.05)
            monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
        completion = await call
        assert completion.token_ids == scripted_tokens(PROMPT, 150)
        assert 0 < completion.timings.decode_seconds < 20


def test_the_wall_clock_is_read_for_dates_alone():
    """Intervals come from monotonic clocks; whoever needs a date takes it as an argument or is listed here."""
    package = Path(specsched.__file__).parent
    readers = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"time\.time\b|datetime\.now|utcnow", path.read_text())
    }
    dates = (
        "telemetry/",
        "modelkit/",
        "scheduler/logbook.py",
        "text/template.py",
        "policy/",
        "bench/",
        "config/",
        "cli/",
    )
    assert {name for name in readers if not name.startswith(dates)} == set()


async def test_sigterm_before_the_first_token_lets_the_request_end(tmp_path):
    async with scripted_service(tmp_path, round_seconds=0.3, drain_seconds=10.0) as served:
        call = asyncio.create_task(served.client.complete(ask(prompt=tuple(range(20, 220)), max_tokens=9)))
        async with asyncio.timeout(5.0):
            while not served.scheduler.running:
                await asyncio.sleep(0.005)
        served.terminate()
        assert (await call).finish_reason is FinishReason.LENGTH
        await asyncio.wait_for(served.ended, 5.0)


async def test_a_worker_is_told_to_end_in_the_middle_of_a_stream(tmp_path):
    """SIGTERM to a worker alone: it drains, says so, and another process follows."""
    async with scripted_service(tmp_path, round_seconds=0.01) as served:
        call = asyncio.create_task(served.client.complete(ask(max_tokens=90)))
        await asyncio.sleep(0.1)
        os.kill(served.launcher.pids[0], signal.SIGTERM)
        assert (await call).token_ids == scripted_tokens(PROMPT, 90)
