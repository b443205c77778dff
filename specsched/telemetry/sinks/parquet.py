"""Parquet. A Parquet file can be read only once it is complete; so the file under way is an Arrow stream.

An Arrow stream can be read up to the last batch that was written, whatever happened to its writer. It becomes a Parquet
file when it is full or old, and where a crash left one behind, by the next writer that begins in the folder.
"""

import fcntl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import structlog

from specsched.records import AcceptanceRecord
from specsched.telemetry.extras import require
from specsched.telemetry.sinks.rows import row_of
from specsched.telemetry.sinks.segments import Rotation, Segments

log = structlog.get_logger()

SUFFIX = ".parquet"
OPEN_SUFFIX = ".arrows"


class ParquetWriter:
    """Writes acceptance records (`Writer`)."""

    def __init__(
        self,
        folder: Path,
        rotation: Rotation,
        *,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open nothing yet; complete what a crash left in the folder.

        Raises:
            ConfigError: pyarrow is not installed.
        """
        self._arrow = require("pyarrow", "telemetry.parquet")
        self._parquet = require("pyarrow.parquet", "telemetry.parquet")
        self._schema = _schema(self._arrow)
        self._open_files = Segments(folder, OPEN_SUFFIX, wall_clock)
        self._files = Segments(folder, SUFFIX, wall_clock)
        self._rotation = rotation
        self._clock = clock
        self._file: IO[bytes] | None = None
        self._stream: Any = None
        self._opened = 0.0
        self._recovered = False

    def write(self, items: Sequence[AcceptanceRecord]) -> None:
        """Append a batch."""
        batch = self._arrow.RecordBatch.from_pylist([row_of(item) for item in items], schema=self._schema)
        file = self._file or self._open()
        try:
            self._stream.write_batch(batch)
            file.flush()
        except OSError:
            self.close()
            raise
        if file.tell() >= self._rotation.max_bytes:
            self.close()

    def tend(self) -> None:
        """End a file whose time has come."""
        if not self._recovered:
            self._recovered = True
            self._recover()
        if self._file is not None and self._clock() - self._opened >= self._rotation.max_seconds:
            self.close()

    def close(self) -> None:
        """End the file: what was an Arrow stream becomes Parquet."""
        file, self._file = self._file, None
        if file is not None:
            with file:
                with suppress(OSError):  # a full disk has no room for the mark of the end; readers need none
                    self._stream.close()
                    file.flush()
                self._convert(Path(file.name))

    def _open(self) -> IO[bytes]:
        file = self._open_files.new().open("xb")
        fcntl.flock(file, fcntl.LOCK_EX)  # while its writer lives, nobody else completes it
        self._stream = self._arrow.ipc.new_stream(file, self._schema)
        self._file, self._opened = file, self._clock()
        return file

    def _recover(self) -> None:
        """Complete streams whose writer is gone."""
        for path in self._open_files.files():
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                log.info("parquet_recovered", path=str(path), rows=self._convert(path))

    def _convert(self, path: Path) -> int:
        """Write a stream's batches as Parquet, whole or not at all; returns the rows."""
        batches = list(batches_of(self._arrow, path))
        rows = sum(int(batch.num_rows) for batch in batches)
        if rows:
            table = self._arrow.Table.from_batches(batches)  # an older version may have left it: its own columns
            part = path.with_suffix(".part")
            self._parquet.write_table(table, part, compression="zstd")
            part.rename(path.with_suffix(SUFFIX))
            self._files.keep(self._rotation.keep_files)
        path.unlink()
        return rows


def batches_of(arrow: Any, path: Path) -> Any:
    """Yield the batches of an Arrow stream up to where it breaks off."""
    try:
        with arrow.OSFile(str(path)) as source, arrow.ipc.open_stream(source) as stream:
            yield from stream
    except (arrow.ArrowInvalid, OSError, EOFError):
        return


def _schema(arrow: Any) -> Any:
    """Columns of `rows.row_of`."""
    text, number, real, flag = arrow.string(), arrow.int64(), arrow.float64(), arrow.bool_()
    reals = arrow.list_(real)
    candidate = arrow.struct([("draft_model", text), ("a", reals), ("b", reals)])
    masses = [(name, reals) for name in ("accepted", "rejected", "undrafted")]
    outcome = arrow.struct([("draft_model", text), ("rounds", real), *masses])
    kinds = {
        text: "run_id request_id tenant prompt_class hint_draft_model decided_for_worker_id config_sha "
        "plan_draft_model policy policy_version worker_id draft_model",
        number: "number decision_number rounds_before hint_gamma hint_max_gamma cost_version running_rows "
        "prompt_tokens expected_tokens plan_gamma plan_max_gamma round_index context_tokens committed_tokens gamma "
        "planned_gamma num_accepted batch_size",
        real: "unix_seconds propensity propose_seconds verify_seconds plain_seconds",
        flag: "sampled coupled hint_disable plan_pinned explored censored",
        arrow.uint64(): "seed",
        arrow.list_(text): "prompt_classes drafts draft_versions",
        reals: "class_probabilities overlaps",
        arrow.list_(candidate): "candidates",
        arrow.list_(outcome): "hindsight",
    }
    return arrow.schema([(name, kind) for kind, names in kinds.items() for name in names.split()])
