"""Learned state in one SQLite file. A damaged file is set aside and said so; it never stops the service."""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any, TypeVar

import structlog

from specsched.errors import ConfigError
from specsched.policy.memory import Cell

log = structlog.get_logger()

T = TypeVar("T")

_COLUMNS = ", ".join(field.name for field in fields(Cell))
_VALUES = ", ".join("?" for _ in fields(Cell))
_TABLE = f"CREATE TABLE IF NOT EXISTS cells ({_COLUMNS})"

MIGRATIONS: Sequence[str] = (_TABLE,)
"""Step i takes a file of schema i to schema i + 1. Steps are only ever added; the last one leaves `_TABLE`'s shape."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
"""The last one is an SQL error: the statements are fixed, so it is the schema in the file that is no longer ours."""

_WAIT_SECONDS = 5.0
"""For a lock that another process holds."""


class NewerSchema(sqlite3.DatabaseError):
    """Written by a later version."""


class SqliteStore:
    """One table, replaced in one transaction; write-ahead log, so that a crash leaves the last whole state."""

    def __init__(self, path: Path, wait_seconds: float = _WAIT_SECONDS) -> None:
        """Name the file; its folder is made.

        Raises:
            ConfigError: one cannot write there, or another process holds the file.
        """
        self._path = path
        self._wait_seconds = wait_seconds
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._tolerantly(self._prepare)
        except sqlite3.Error as error:
            raise ConfigError(f"store.path: {path}: {error}") from error
        except OSError as error:
            raise ConfigError(f"store.path: {path}: {error.strerror or error}") from error

    def load(self) -> tuple[Cell, ...]:
        """Return the cells, none after the file had to be set aside.

        Raises:
            ConfigError: the file cannot be read now. To go on without it would later overwrite what it holds.
        """
        try:
            rows = self._tolerantly(self._read)
        except sqlite3.Error as error:
            raise ConfigError(f"store.path: {self._path}: {error}") from error
        return tuple(Cell(bool(sampled), bool(coupled), *rest) for sampled, coupled, *rest in rows)

    def save(self, cells: Sequence[Cell]) -> None:
        """Replace all cells in one transaction; a file or a table that is gone is made again.

        Raises:
            sqlite3.Error: disk full or file locked, for example; what was kept before stands.
        """
        self._tolerantly(lambda database: self._write(database, cells))

    def _tolerantly(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """Act on the file; if it proves damaged, set it aside and act on a new one."""
        try:
            with closing(self._connect()) as database:
                return act(database)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if not _is_damage(error, self._path):
                raise
            self._set_aside(str(error))
        with closing(self._connect()) as database:
            return act(database)

    def _read(self, database: sqlite3.Connection) -> list[tuple[Any, ...]]:
        self._prepare(database)
        return database.execute(f"SELECT {_COLUMNS} FROM cells").fetchall()  # noqa: S608 - our own names

    def _write(self, database: sqlite3.Connection, cells: Sequence[Cell]) -> None:
        self._prepare(database)
        with database:
            database.execute("DELETE FROM cells")
            database.executemany(f"INSERT INTO cells ({_COLUMNS}) VALUES ({_VALUES})", map(astuple, cells))  # noqa: S608

    def _prepare(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA journal_mode=WAL")
        migrate(database, MIGRATIONS)
        with database:
            database.execute(_TABLE)

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=self._wait_seconds)
        database.text_factory = bytes.decode  # damaged text raises what says so; sqlite3 itself raises no code
        return database

    def _set_aside(self, why: str) -> None:
        """Keep the damaged file under another name."""
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.damaged-{number}")).exists():
            number += 1
        self._path.rename(aside)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        log.error("store_set_aside", path=str(self._path), kept_as=str(aside), error=why)


def migrate(database: sqlite3.Connection, steps: Sequence[str]) -> None:
    """Take a file from its schema to the last one, all steps or none.

    Raises:
        NewerSchema: the file is of a later version.
    """
    found = database.execute("PRAGMA user_version").fetchone()[0]
    if found > len(steps):
        raise NewerSchema(f"schema {found}, this version knows {len(steps)}")
    if found < len(steps):
        with database:
            database.execute("BEGIN IMMEDIATE")
            for step in steps[found:]:
                database.execute(step)
            database.execute(f"PRAGMA user_version={len(steps)}")


def _is_damage(error: sqlite3.DatabaseError | UnicodeDecodeError, path: Path) -> bool:
    """Whether the file itself is bad. One that is locked, full or not ours to write is not.

    A file can be so bad that the error message quotes bytes of it that are no text. One that we may write and that says
    itself that nobody may has a damaged header.
    """
    code = getattr(error, "sqlite_errorcode", 0)  # extended codes keep the primary one in their last byte
    if code == sqlite3.SQLITE_READONLY:
        return os.access(path, os.W_OK)
    return isinstance(error, NewerSchema | UnicodeDecodeError) or code & 0xFF in _DAMAGED
