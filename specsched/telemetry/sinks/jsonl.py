"""JSON lines. A crash leaves whole lines and at most one broken one at the end of a file, which readers pass over."""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from specsched.telemetry.sinks.segments import Rotation, Segments

T = TypeVar("T")

SUFFIX = ".jsonl"


class JsonlWriter(Generic[T]):
    """Writes items as lines (`Writer`)."""

    def __init__(
        self,
        folder: Path,
        row_of: Callable[[T], dict[str, Any]],
        rotation: Rotation,
        *,
        stem: str = "acceptance",
        mode: int = 0o644,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open nothing yet.

        Args:
            folder: Of the files; made when missing.
            row_of: Makes what JSON can hold.
            rotation: When the next file is begun.
            stem: How the files' names begin.
            mode: Permissions of the files.
            wall_clock: Names the files.
            clock: Tells their age.
        """
        self._segments = Segments(folder, SUFFIX, wall_clock, stem)
        self._row_of = row_of
        self._rotation = rotation
        self._mode = mode
        self._clock = clock
        self._file: IO[bytes] | None = None
        self._opened = 0.0

    def write(self, items: Sequence[T]) -> None:
        """Append a line for each."""
        data = "".join(json.dumps(self._row_of(item), separators=(",", ":")) + "\n" for item in items).encode()
        file = self._file or self._open()
        try:
            file.write(data)
            file.flush()
        except OSError:
            self.close()  # what it ends with may be half a line
            raise
        if file.tell() >= self._rotation.max_bytes:
            self.close()

    def tend(self) -> None:
        """End a file whose time has come."""
        if self._file is not None and self._clock() - self._opened >= self._rotation.max_seconds:
            self.close()

    def close(self) -> None:
        """End the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open(self) -> IO[bytes]:
        self._file = os.fdopen(os.open(self._segments.new(), os.O_CREAT | os.O_EXCL | os.O_WRONLY, self._mode), "wb")
        self._opened = self._clock()
        self._segments.keep(self._rotation.keep_files)
        return self._file
