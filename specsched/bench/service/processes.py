"""Processes beside the one that measures: started, ended, and asked what they have used so far (Linux)."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from specsched.bench.served import ServedProcess

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_ROOMY = {"SPECSCHED__ADMISSION__MAX_REQUESTS": "4096", "SPECSCHED__ADMISSION__MAX_OUTSTANDING_TOKENS": "100000000"}


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, all threads, user and system; counted in hundredths."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(pid: int) -> int:
    """Memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES


@asynccontextmanager
async def helper(module: str, *arguments: str) -> AsyncGenerator[int]:
    """Run a module of this package beside us; yields its pid."""
    command = [sys.executable, "-m", f"specsched.bench.service.{module}", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
    try:
        yield process.pid
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def scheduler_over_fakes(
    folder: Path,
    manifest: Path,
    *,
    workers: int = 1,
    round_seconds: float = 0.0,
    max_rows: int = 64,
    environment: Mapping[str, str] | None = None,
) -> AsyncGenerator[ServedProcess]:
    """Run `specsched serve`, as anybody runs it, on fake workers of a pool.

    Args:
        folder: For sockets.
        manifest: Of the pool that workers claim to hold.
        workers: How many.
        round_seconds: Of theirs; 0: as fast as messages go.
        max_rows: That each claims to decode together.
        environment: Further variables of the scheduler.
    """
    addresses = [f"unix:{folder}/{number}.sock" for number in range(workers)]
    async with AsyncExitStack() as stack:
        for address in addresses:
            await stack.enter_async_context(
                helper("fake_worker", address, str(manifest), str(round_seconds), str(max_rows))
            )
        variables = {**(environment or {}), **_ROOMY, "SPECSCHED__WORKERS__ADDRESSES": f"[{', '.join(addresses)}]"}
        arguments = ["--pool", str(manifest), "--listen", f"unix:{folder}/scheduler.sock"]
        yield await stack.enter_async_context(ServedProcess(arguments, variables))
