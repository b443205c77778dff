"""Files that are replaced while the service runs: certificates and tokens."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from specsched.errors import ConfigError

log = structlog.get_logger()

_LOOK_SECONDS = 1.0


class Rotation:
    """Reads files again when they change. What cannot be read changes nothing, and is said once."""

    def __init__(self, what: str, files: Sequence[Path], reload: Callable[[], None]) -> None:
        """Follow files as they stand now.

        Args:
            what: For the log.
            files: That are read; links are followed, so that a folder may be swapped as Kubernetes does.
            reload: Reads them; raises ConfigError and changes nothing then.
        """
        self._what = what
        self._files = tuple(files)
        self._reload = reload
        self._seen = self._stamps()

    def look(self) -> None:
        """Read them again if any of them is another one than at the last look."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            self._reload()
        except ConfigError as error:
            log.error("rotation_failed", what=self._what, error=str(error))  # noqa: TRY400 - one line says it
        else:
            log.info("rotated", what=self._what)

    def _stamps(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(map(_stamp, self._files))


@asynccontextmanager
async def rotating(rotations: Iterable[Rotation], seconds: float = _LOOK_SECONDS) -> AsyncGenerator[None]:
    """Look every so often, until the end."""
    looking = asyncio.create_task(_rotate(tuple(rotations), seconds))
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _rotate(followed: tuple[Rotation, ...], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        for rotation in followed:
            await asyncio.to_thread(rotation.look)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
