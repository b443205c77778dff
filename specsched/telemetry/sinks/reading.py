"""Acceptance records back from the files that sinks write."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from specsched.errors import SetupError
from specsched.records import AcceptanceRecord, DecisionRecord
from specsched.telemetry.extras import require
from specsched.telemetry.sinks import jsonl, parquet
from specsched.telemetry.sinks.rows import decision_of, record_of

_SUFFIXES = (jsonl.SUFFIX, parquet.SUFFIX, parquet.OPEN_SUFFIX)


def read_acceptance(source: Path) -> Iterator[AcceptanceRecord]:
    """Yield the records of a file, or of all files of a folder, oldest file first; each record once.

    The rounds of a request share one decision object. Where its first round was lost, its plan has no candidates.

    Raises:
        SetupError: nothing there, or a file that holds something else.
    """
    decisions: dict[tuple[str, int], DecisionRecord] = {}
    seen: set[tuple[str, int]] = set()
    for path in _files(source):
        try:
            for row in _rows(path):
                key = (row["run_id"], row["number"])
                if key not in seen:  # a folder may hold the same records as JSON lines and as Parquet
                    seen.add(key)
                    yield record_of(row, _decision(decisions, row))
        except (ValueError, KeyError, TypeError) as error:
            raise SetupError(f"{path}: no acceptance records: {error!r}") from error


def _decision(decisions: dict[tuple[str, int], DecisionRecord], row: Mapping[str, Any]) -> DecisionRecord:
    key = (row["run_id"], row["decision_number"])
    if key not in decisions or row["round_index"] == 0:
        decisions[key] = decision_of(row)
    return decisions[key]


def _files(source: Path) -> Iterable[Path]:
    if source.is_file():
        return (source,)
    found = sorted(path for path in source.glob("acceptance-*") if path.suffix in _SUFFIXES)
    if not found:
        raise SetupError(f"{source}: no acceptance records ({', '.join(_SUFFIXES)})")
    return found


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.suffix == jsonl.SUFFIX:
        yield from _lines(path)
        return
    arrow = require("pyarrow", str(path))
    if path.suffix == parquet.SUFFIX:
        batches = require("pyarrow.parquet", str(path)).ParquetFile(path).iter_batches()
    else:
        batches = parquet.batches_of(arrow, path)
    for batch in batches:
        yield from batch.to_pylist()


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """The last line may be broken: its writer was killed."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                if line.endswith("\n"):
                    raise
                return
            yield row
