"""Captured text → JSON lines that `specsched models distill --from-capture` reads, each deleted in time."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from specsched.records import CapturedCompletion
from specsched.telemetry.capture.redaction import Redactor
from specsched.telemetry.sinks.jsonl import SUFFIX, JsonlWriter
from specsched.telemetry.sinks.segments import Rotation, Segments

_STEM = "capture"
_PRIVATE = 0o600
_PARTS = 8
"""A file takes text for an eighth of its time to live, so that it can be deleted as a whole and none lives longer."""


class CaptureWriter:
    """Writes redacted text (`Writer`)."""

    def __init__(
        self, folder: Path, redactor: Redactor, ttl_seconds: float, wall_clock: Callable[[], float] = time.time
    ) -> None:
        """Open nothing yet.

        Args:
            folder: Of the files; made when missing.
            redactor: Applied to prompt and completion before they are written.
            ttl_seconds: Longest time that a text is kept.
            wall_clock: Tells ages, over restarts too.
        """
        self._redact = redactor.redact
        self._segments = Segments(folder, SUFFIX, wall_clock, _STEM)
        self._ttl_seconds = ttl_seconds
        rotation = Rotation(max_seconds=ttl_seconds / _PARTS, keep_files=10_000)
        self._lines: JsonlWriter[CapturedCompletion] = JsonlWriter(
            folder, self._row, rotation, stem=_STEM, mode=_PRIVATE, wall_clock=wall_clock, clock=wall_clock
        )

    def write(self, items: Sequence[CapturedCompletion]) -> None:
        """Redact and append."""
        self._lines.write(items)

    def tend(self) -> None:
        """Delete what has lived long enough, of earlier runs too."""
        self._lines.tend()
        self._segments.delete_older(self._ttl_seconds * (1 - 1 / _PARTS))

    def close(self) -> None:
        """End the file."""
        self._lines.close()

    def _row(self, item: CapturedCompletion) -> dict[str, Any]:
        return {
            "prompt": self._redact(item.prompt),
            "completion": self._redact(item.completion),
            "prompt_class": item.prompt_class,
            "draft": item.draft_model,
            "acceptance": item.acceptance,
            "tenant": item.tenant,
        }
