"""Acceptance records in files: whole after a crash, rotated, kept in number, and read back as they were."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from pyarrow.parquet import read_table, write_table

from specsched.errors import ConfigError, SetupError
from specsched.telemetry import extras
from specsched.telemetry.sinks.jsonl import JsonlWriter
from specsched.telemetry.sinks.parquet import ParquetWriter
from specsched.telemetry.sinks.reading import read_acceptance
from specsched.telemetry.sinks.rows import row_of
from specsched.telemetry.sinks.segments import Rotation
from tests.helpers.acceptance import acceptance, records, rounds_of
from tests.helpers.service import ROOT


class Clock:
    """Moves when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def jsonl(folder, **rotation):
    return JsonlWriter(folder, row_of, Rotation(**rotation))


def parquet(folder, **rotation):
    return ParquetWriter(folder, Rotation(**rotation))


both = pytest.mark.parametrize("make", [jsonl, parquet])
EXPECTED = [*rounds_of(0, 3, first=0), *rounds_of(1, 2, first=3)]


@both
def test_what_is_written_is_read_back(tmp_path, make):
    writer = make(tmp_path / "new" / "folder")
    writer.write(EXPECTED[:2])
    writer.write(EXPECTED[2:])
    writer.close()
    read = list(read_acceptance(tmp_path / "new" / "folder"))
    assert read == EXPECTED
    assert read[0].decision is read[2].decision


@both
@settings(max_examples=20, deadline=None)
@given(record=records)
def test_any_record_survives(make, record):
    with tempfile.TemporaryDirectory() as folder:
        writer = make(Path(folder))
        writer.write([record])
        writer.close()
        assert list(read_acceptance(Path(folder))) == [record]


@both
def test_a_full_file_is_followed_by_another_and_the_oldest_go(tmp_path, make):
    writer = make(tmp_path, max_bytes=1, keep_files=3)
    for record in EXPECTED:
        writer.write([record])
    assert [record.number for record in read_acceptance(tmp_path)] == [2, 3, 4]


@pytest.mark.parametrize("kind", [JsonlWriter, ParquetWriter])
def test_a_clock_that_is_set_back_makes_no_new_file_the_oldest(tmp_path, kind):
    wall = Clock()
    rows = {} if kind is ParquetWriter else {"row_of": row_of}
    writer = kind(tmp_path, rotation=Rotation(max_bytes=1, keep_files=2), wall_clock=wall, **rows)
    for record, wall.now in zip(EXPECTED, (9e5, 9e5 + 1, 100.0, 101.0, 102.0), strict=True):
        writer.write([record])
    writer.close()
    assert [record.number for record in read_acceptance(tmp_path)] == [3, 4]


@pytest.mark.parametrize("kind", [JsonlWriter, ParquetWriter])
def test_an_old_file_is_ended(tmp_path, kind):
    clock = Clock()
    rows = {} if kind is ParquetWriter else {"row_of": row_of}
    writer = kind(tmp_path, rotation=Rotation(max_seconds=60.0), clock=clock, **rows)
    writer.write(EXPECTED[:1])
    clock.now = 59.0
    writer.tend()
    before = {path.name for path in tmp_path.iterdir()}
    clock.now = 60.0
    writer.tend()
    writer.write(EXPECTED[1:2])
    assert len({path.name for path in tmp_path.iterdir()} - before) >= 1
    writer.close()
    assert list(read_acceptance(tmp_path)) == EXPECTED[:2]


KILLED = """
import sys
from pathlib import Path
from tests.helpers.acceptance import rounds_of
from tests.telemetry.test_files import jsonl, parquet
writer = {"jsonl": jsonl, "parquet": parquet}[sys.argv[1]](Path(sys.argv[2]))
writer.tend()
writer.write(rounds_of(0, 3, first=0))
print("written", flush=True)
sys.stdin.read()
"""


def killed_writer(kind, folder):
    """A process that was killed with its file open."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", KILLED, kind, str(folder)]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        yield process
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_after_a_crash_lines_are_read_up_to_the_broken_one(tmp_path):
    list(killed_writer("jsonl", tmp_path))
    (path,) = tmp_path.iterdir()
    with path.open("ab") as file:
        file.write(b'{"run_id": "ru')
    assert list(read_acceptance(tmp_path)) == EXPECTED[:3]


def test_after_a_crash_an_arrow_stream_is_read_and_the_next_writer_completes_it(tmp_path):
    for _ in killed_writer("parquet", tmp_path):
        parquet(tmp_path).tend()  # its writer lives: hands off
        assert [path.suffix for path in tmp_path.iterdir()] == [".arrows"]
    (path,) = tmp_path.iterdir()
    assert list(read_acceptance(tmp_path)) == EXPECTED[:3]
    path.write_bytes(path.read_bytes() + b"\xff\xff\xff\xff\x40\x00")  # a batch that was half written
    parquet(tmp_path).tend()
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"]
    assert list(read_acceptance(tmp_path)) == EXPECTED[:3]


class FullDisk(io.FileIO):
    """Takes half of what it is given."""

    def write(self, data):
        super().write(bytes(data)[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_breaks_one_file_and_not_what_comes_after(tmp_path):
    writer = jsonl(tmp_path)
    writer.write(EXPECTED[:1])
    whole, writer._file = writer._file, FullDisk(next(tmp_path.iterdir()), "ab")
    whole.close()
    with pytest.raises(OSError, match="No space left"):
        writer.write(EXPECTED[1:2])
    writer.write(EXPECTED[2:])
    writer.close()
    assert list(read_acceptance(tmp_path)) == [EXPECTED[0], *EXPECTED[2:]]


def test_a_folder_that_cannot_be_made_is_an_error_each_time(tmp_path):
    (tmp_path / "file").write_text("")
    for writer in (jsonl(tmp_path / "file" / "x"), parquet(tmp_path / "file" / "x")):
        for _ in range(2):
            with pytest.raises(OSError, match="Not a directory"):
                writer.write(EXPECTED)


def test_the_same_records_in_both_formats_are_read_once(tmp_path):
    for writer in (jsonl(tmp_path), parquet(tmp_path)):
        writer.write(EXPECTED)
        writer.close()
    assert sorted(record.number for record in read_acceptance(tmp_path)) == [0, 1, 2, 3, 4]


def older(folder):
    """Records as a table, from before hindsight was logged."""
    writer = parquet(folder)
    writer.write(EXPECTED)
    writer.close()
    (path,) = folder.iterdir()
    table = read_table(path).drop_columns(["hindsight"])
    path.unlink()
    return table


def test_files_from_before_a_column_are_read(tmp_path):
    table = older(tmp_path)
    lines = "".join(json.dumps(row) + "\n" for row in table.slice(0, 2).to_pylist())
    (tmp_path / "acceptance-1.jsonl").write_text(lines, encoding="utf-8")
    write_table(table.slice(2), tmp_path / "acceptance-2.parquet")
    assert list(read_acceptance(tmp_path)) == EXPECTED


def test_a_stream_that_an_older_version_left_is_completed_with_its_own_columns(tmp_path):
    table = older(tmp_path)
    with (
        pa.OSFile(str(tmp_path / "acceptance-1.arrows"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as stream,
    ):
        stream.write_table(table)
    parquet(tmp_path).tend()
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"]
    assert list(read_acceptance(tmp_path)) == EXPECTED


def test_without_a_first_round_a_plan_has_no_candidates(tmp_path):
    writer = jsonl(tmp_path)
    writer.write(EXPECTED[1:3])
    writer.close()
    read = list(read_acceptance(tmp_path))
    assert [record.decision.plan.candidates for record in read] == [(), ()]
    assert read[0].decision.plan == replace(EXPECTED[0].decision.plan, candidates=())


@pytest.mark.parametrize("text", ['{"run_id": "r"}\n', "[]\n", "no json\n", "\n"])
def test_a_file_of_something_else_is_told_in_one_line(tmp_path, text):
    (tmp_path / "acceptance-x.jsonl").write_text(text)
    with pytest.raises(SetupError, match=r"acceptance-x\.jsonl: no acceptance records"):
        list(read_acceptance(tmp_path))


def test_an_empty_folder_is_told_in_one_line(tmp_path):
    with pytest.raises(SetupError, match="no acceptance records"):
        list(read_acceptance(tmp_path))


def test_a_package_that_is_missing_is_told_with_what_to_install():
    with pytest.raises(ConfigError, match=r"^telemetry\.parquet: needs nopyarrow; install specsched\[telemetry\]$"):
        extras.require("nopyarrow", "telemetry.parquet")


def test_records_are_small(tmp_path):
    lines, table = jsonl(tmp_path / "j"), parquet(tmp_path / "p")
    many = [record for request in range(100) for record in rounds_of(request, 20, first=20 * request)]
    for writer in (lines, table):
        writer.write(many)
        writer.close()
    per_record = [sum(path.stat().st_size for path in (tmp_path / kind).iterdir()) / 2000 for kind in "jp"]
    assert per_record[0] < 1100
    assert per_record[1] < 40
    assert acceptance(0) == many[0]
