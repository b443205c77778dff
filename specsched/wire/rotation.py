"""Files that are replaced while the service runs: certificates and tokens."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import structlog

from specsched.errors import ConfigError

log = structlog.get_logger()

_LOOK_SECONDS = 1.0

Stamps = tuple[tuple[int, int, int] | None, ...]


class Rotation:
    """Reads files again when they change. What cannot be read changes nothing, and is said once."""

    def __init__(self, field: str, files: Sequence[Path], read: Callable[[], Callable[[], None]]) -> None:
        """Follow files as they stand now.

        Args:
            field: Of the configuration, that names them.
            files: That are read; links are followed, so that a folder may be swapped as Kubernetes does.
            read: Reads them, and returns what puts them in force; raises ConfigError.
        """
        self.field = field
        self._files = tuple(files)
        self._read = read
        self._seen = self._stamps()

    def look(self) -> None:
        """Read them again if any of them is another one than at the last look."""
        stamps = self._stamps()
        try:
            commit = self.prepare()
        except ConfigError as error:
            self._seen = stamps
            log.error("rotation_failed", field=self.field, error=str(error))  # noqa: TRY400 - one line says it
        else:
            if commit is not None:
                commit()

    def prepare(self) -> Callable[[], None] | None:
        """Read them, if any is another one, without putting them in force; raises ConfigError."""
        stamps = self._stamps()
        return None if stamps == self._seen else partial(self._put_in_force, self._read(), stamps)

    def _put_in_force(self, commit: Callable[[], None], stamps: Stamps) -> None:
        commit()
        self._seen = stamps
        log.info("rotated", field=self.field)

    def _stamps(self) -> Stamps:
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
