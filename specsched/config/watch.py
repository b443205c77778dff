"""Noticing that a file has other content, whichever way it came there.

The folder is watched, not the file: editors and Kubernetes put a new file, or a link to one, in the old one's place.
"""

from collections.abc import AsyncGenerator
from pathlib import Path

from watchfiles import awatch

_SETTLE_MILLISECONDS = 100
_LOOK_MILLISECONDS = 2_000
"""Between two looks where nothing is heard: some file systems tell nobody."""


async def contents(path: Path) -> AsyncGenerator[bytes]:
    """Yield the file's content whenever it differs from what it was before, for ever; a missing file is waited for."""
    before = _read(path)
    events = awatch(
        path.parent,
        watch_filter=None,
        debounce=_SETTLE_MILLISECONDS,
        step=_SETTLE_MILLISECONDS // 2,
        rust_timeout=_LOOK_MILLISECONDS,
        yield_on_timeout=True,
        recursive=False,
    )
    async for _ in events:
        now = _read(path)
        if now is not None and now != before:
            before = now
            yield now


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
