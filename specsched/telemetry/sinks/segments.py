"""The files that a writer fills one after the other in a folder: names that sort by age, and how many are kept."""

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

_STAMP = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is full, and how many are kept."""

    max_bytes: int = 64 * 2**20
    max_seconds: float = 3600.0
    keep_files: int = 48


class Segments:
    """Names files, and deletes the oldest. Several processes may write into one folder."""

    def __init__(self, folder: Path, suffix: str, wall_clock: Callable[[], float], stem: str = "acceptance") -> None:
        self.folder = folder
        self._stem = stem
        self._suffix = suffix
        self._wall_clock = wall_clock

    def new(self) -> Path:
        """Name a file that nobody has, in a folder that is there.

        It sorts after those that are there, also where the clock was set back: else it would be deleted as the oldest.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        now = datetime.fromtimestamp(self._wall_clock(), UTC)
        with suppress(ValueError):  # there is none, or it is named by somebody else
            latest = max(self.folder.glob(f"{self._stem}-*"))  # whatever its suffix: files change theirs
            stamp = latest.name.removeprefix(f"{self._stem}-").partition("-")[0]
            now = max(now, datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC) + timedelta(microseconds=1))
        return self.folder / f"{self._stem}-{now.strftime(_STAMP)}-{secrets.token_hex(4)}{self._suffix}"

    def files(self) -> Sequence[Path]:
        """All that are there, oldest first."""
        return sorted(self.folder.glob(f"{self._stem}-*{self._suffix}"))

    def keep(self, newest: int) -> None:
        """Delete all but the newest."""
        for path in self.files()[:-newest]:
            path.unlink(missing_ok=True)

    def delete_older(self, seconds: float) -> None:
        """Delete what was last written longer ago."""
        oldest = self._wall_clock() - seconds
        for path in self.files():
            with suppress(FileNotFoundError):  # another process was quicker
                if path.stat().st_mtime < oldest:
                    path.unlink()
