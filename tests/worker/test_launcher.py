"""Workers that die are started again; those that cannot start are not."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from specsched.errors import SetupError
from specsched.worker.backoff import Backoff
from specsched.worker.launcher import Launcher
from tests.helpers.service import ROOT, scripted_command

ENV = {**os.environ, "PYTHONPATH": str(ROOT)}


async def until(condition, seconds=20.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_pauses_double_up_to_a_bound():
    assert [Backoff(0.5, 3.0).pause(n) for n in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


async def test_a_killed_worker_is_started_again():
    async with Launcher(1, scripted_command(0.0), ENV, Backoff(0.01, 0.05)) as launcher:
        await until(lambda: launcher.pids)
        first = launcher.pids[0]
        os.kill(first, signal.SIGKILL)
        await until(lambda: launcher.pids and launcher.pids[0] != first)
        assert launcher.restarts == 1
        second, address = launcher.pids[0], launcher.addresses[0]
        assert len(address.removeprefix("unix:")) < 100
    assert not alive(second)
    assert not Path(address.removeprefix("unix:")).parent.exists()


async def test_a_worker_without_a_pool_is_not_tried_again():
    async with Launcher(1, scripted_command(-1.0), ENV, Backoff(0.01, 0.05)) as launcher:
        with pytest.raises(SetupError, match="worker-0 cannot start"):
            await asyncio.wait_for(launcher.failed(), 20.0)
        assert launcher.restarts == 0


async def test_workers_end_with_the_process_that_started_them():
    """Standard input closes when their parent dies, however it dies."""
    command = scripted_command(0.0)("orphan", "unix:/tmp/specsched-orphan-test.sock")
    process = await asyncio.create_subprocess_exec(*command, env=ENV, stdin=asyncio.subprocess.PIPE)
    await asyncio.sleep(0.5)
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 10.0) == 0
