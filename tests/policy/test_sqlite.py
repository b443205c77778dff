"""The file under trouble: locked, full, gone, of another version, its process killed."""

import resource
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest

from specsched.errors import ConfigError
from specsched.policy.memory import Cell
from specsched.policy.sqlite import SqliteStore, migrate

GREEDY = (False, True)
CELL = Cell(*GREEDY, "good", "1", "chat", 1, 2.0, 3.0)
TREE = Path(__file__).parents[2]


def run(script, *arguments, **options):
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, text=True, **options)


def test_a_locked_file_is_not_damaged(tmp_path):
    path = tmp_path / "policy.sqlite"
    SqliteStore(path).save([CELL])
    store = SqliteStore(path, wait_seconds=0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            store.save([])
        other.execute("ROLLBACK")
    assert store.load() == (CELL,)
    assert [file.name for file in tmp_path.iterdir() if "damaged" in file.name] == []


def test_text_that_is_none_is_damage(tmp_path):
    path = tmp_path / "policy.sqlite"
    store = SqliteStore(path)
    store.save([CELL])
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE cells SET draft_model = CAST(x'676fff' AS TEXT)")
    assert store.load() == ()
    assert any("damaged" in file.name for file in tmp_path.iterdir())


def test_a_file_that_says_itself_that_it_is_read_only_is_damaged(tmp_path):
    path = tmp_path / "policy.sqlite"
    SqliteStore(path).save([CELL])
    data = bytearray(path.read_bytes())
    data[18] = 3  # a version of the format that may only be read
    path.write_bytes(data)
    store = SqliteStore(path)
    store.save([CELL])
    assert store.load() == (CELL,)
    assert any("damaged" in file.name for file in tmp_path.iterdir())


def test_a_file_that_another_process_holds_ends_the_start(tmp_path):
    path = tmp_path / "policy.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigError, match=r"store\.path.*locked"):
            SqliteStore(path, wait_seconds=0.05)


def test_a_table_and_a_file_that_are_gone_are_made_again(tmp_path):
    path = tmp_path / "policy.sqlite"
    store = SqliteStore(path)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("DROP TABLE cells")
    store.save([CELL])
    assert store.load() == (CELL,)
    for file in tmp_path.iterdir():
        file.unlink()
    store.save([CELL, CELL])
    assert store.load() == (CELL, CELL)


def test_a_file_damaged_while_it_is_used_is_set_aside(tmp_path):
    path = tmp_path / "policy.sqlite"
    store = SqliteStore(path)
    store.save([CELL])
    path.write_bytes(b"whatever its name says, this is no database" * 40)
    store.save([CELL])
    assert store.load() == (CELL,)
    assert (tmp_path / "policy.sqlite.damaged-1").exists()


def test_schemas_go_up_step_by_step_all_or_none():
    steps = ["CREATE TABLE cells (a)", "ALTER TABLE cells ADD COLUMN b DEFAULT 7", "no such statement"]
    with closing(sqlite3.connect(":memory:")) as database:
        migrate(database, steps[:1])
        database.execute("INSERT INTO cells VALUES (1)")
        database.commit()
        with pytest.raises(sqlite3.OperationalError):
            migrate(database, steps)
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        migrate(database, steps[:2])
        assert database.execute("SELECT a, b FROM cells").fetchall() == [(1, 7)]


def test_a_full_disk_leaves_what_was_kept(tmp_path):
    path = tmp_path / "policy.sqlite"
    SqliteStore(path).save([CELL])
    script = """
        import signal, sqlite3, sys
        from pathlib import Path
        from specsched.policy.memory import Cell
        from specsched.policy.sqlite import SqliteStore
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = SqliteStore(Path(sys.argv[1]))
        try:
            store.save([Cell(False, True, "good" * 50, "1", "chat", j, 1.0, 1.0) for j in range(1, 5000)])
        except sqlite3.Error as error:
            print(error, len(store.load()))
    """
    limited = run(script, path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)))
    said, _ = limited.communicate(timeout=30)
    assert said.strip().endswith(" 1"), said
    assert SqliteStore(path).load() == (CELL,)


def test_a_killed_process_loses_no_more_than_an_interval(tmp_path):
    path = tmp_path / "policy.sqlite"
    script = """
        import asyncio, sys, time
        from pathlib import Path
        from specsched.policy.adaptive import AdaptivePolicy
        from specsched.policy.base import Observation
        from specsched.policy.settings import PolicySettings
        from specsched.policy.sqlite import SqliteStore
        from specsched.records import ClassProbabilities, RoundRecord
        from specsched.scheduler.remembering import Memory

        async def main():
            policy = AdaptivePolicy(PolicySettings(max_gamma=1, forgetting=1.0, request_variance=0.0), ("chat",), 0)
            memory = Memory(policy, SqliteStore(Path(sys.argv[1])), seconds=0.2)
            keeping = asyncio.create_task(memory.keep())
            pi = ClassProbabilities(("chat",), (1.0,))
            for number in range(100_000):
                record = RoundRecord("good", 1, number % 2, 1, 0.1, 0.1, planned_gamma=1)
                policy.observe(Observation("r", pi, sampled=False, coupled=True, round=record))
                print(number + 1, time.monotonic(), flush=True)
                await asyncio.sleep(0.002)

        asyncio.run(main())
    """
    child = run(script, path)
    assert child.stdout is not None
    seen = [(int(number), float(at)) for number, at in (child.stdout.readline().split() for _ in range(400))]
    child.send_signal(signal.SIGKILL)
    seen += [(int(line.split()[0]), float(line.split()[1])) for line in child.stdout if len(line.split()) == 2]
    child.wait()
    child.stdout.close()
    killed = seen[-1][1]
    kept = sum(cell.accepted + cell.rejected for cell in SqliteStore(path).load())
    saved_by_then = max((number for number, at in seen if at < killed - 1.0), default=0)
    assert kept >= max(1, saved_by_then)
    assert time.monotonic() - killed < 60
