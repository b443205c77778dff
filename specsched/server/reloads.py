"""What makes a service read its configuration again by itself: SIGHUP, and a file with other content."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from specsched.config.reload import Reloader
from specsched.config.watch import contents
from specsched.errors import SpecschedError

log = structlog.get_logger()

_AGAIN_SECONDS = 5.0
"""After a watch that broke, its folder gone for example."""


@asynccontextmanager
async def reloads(reloader: Reloader, file: Path | None) -> AsyncGenerator[None]:
    """Reload on SIGHUP and, where there is a file, whenever its content changes, until the end."""
    wanted = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, wanted.set)
    tasks = [asyncio.create_task(_reload(reloader, wanted))]
    if file is not None:
        tasks.append(asyncio.create_task(_watch(file, wanted)))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _reload(reloader: Reloader, wanted: asyncio.Event) -> None:
    while True:
        await wanted.wait()
        wanted.clear()
        try:
            await reloader.reload()
        except SpecschedError:  # told by the reloader, and nothing has changed
            continue
        except Exception:
            log.exception("reload_failed")


async def _watch(file: Path, wanted: asyncio.Event) -> None:
    while True:
        try:
            async for _ in contents(file):
                wanted.set()
        except Exception as error:  # noqa: BLE001 - whatever the system's watch raises; SIGHUP still works
            log.warning("config_watch_failed", file=str(file), error=str(error))
        await asyncio.sleep(_AGAIN_SECONDS)
