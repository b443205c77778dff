"""What makes a running service read its configuration again."""

import asyncio
import os
import signal

import pytest

from specsched.config.load import Source
from specsched.config.reload import Reloader, Result
from specsched.server.reloads import reloads


@pytest.fixture
def service(tmp_path):
    """A file, and the reloader over it with the results that it told."""
    path = tmp_path / "specsched.yaml"
    path.write_text("policy: {gamma: 1}")
    source, told = Source(path, {}, {}), []
    return path, Reloader(source, source.read(), (), lambda result, _sha: told.append(result)), told


async def until(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_hangup_reads_the_file_again(service):
    path, reloader, told = service
    async with reloads(reloader, None):
        path.write_text("policy: {gamma: 2}")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: told == [Result.APPLIED])
    assert reloader.config.policy.gamma == 2


async def test_a_changed_file_is_read_and_a_bad_one_leaves_the_watch_alive(service):
    path, reloader, told = service
    async with reloads(reloader, path):
        await asyncio.sleep(0.3)
        path.write_text("policy: {gamma: 100}")
        await until(lambda: told == [Result.REFUSED])
        path.write_text("policy: {gamma: 3}")
        await until(lambda: told == [Result.REFUSED, Result.APPLIED])
    assert reloader.config.policy.gamma == 3
