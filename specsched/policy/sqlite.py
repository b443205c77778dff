"""Learned state in one SQLite file. A damaged file is set aside and said so; it never stops the service."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import astuple, fields
from pathlib import Path

import structlog

from specsched.errors import ConfigError
from specsched.policy.memory import Cell

log = structlog.get_logger()

SCHEMA = 1

_COLUMNS = ", ".join(field.name for field in fields(Cell))
_VALUES = ", ".join("?" for _ in fields(Cell))


class SqliteStore:
    """One table, replaced in one transaction; write-ahead log, so that a crash leaves the last whole state."""

    def __init__(self, path: Path) -> None:
        """Name the file; its folder is made.

        Raises:
            ConfigError: one cannot write there.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._prepare()
        except sqlite3.DatabaseError as error:
            if not path.is_file():
                raise ConfigError(f"store.path: {path}: {error}") from error
            self._set_aside(str(error))
            self._prepare()
        except OSError as error:
            raise ConfigError(f"store.path: {path}: {error.strerror or error}") from error

    def load(self) -> tuple[Cell, ...]:
        """Return the cells, none after the file had to be set aside."""
        try:
            with closing(self._connect()) as database:
                rows = database.execute(f"SELECT {_COLUMNS} FROM cells").fetchall()  # noqa: S608 - our own names
        except sqlite3.DatabaseError as error:
            self._set_aside(str(error))
            self._prepare()
            return ()
        return tuple(Cell(bool(sampled), bool(coupled), *rest) for sampled, coupled, *rest in rows)

    def save(self, cells: Sequence[Cell]) -> None:
        """Replace all cells in one transaction.

        Raises:
            sqlite3.Error: disk full, for example; what was kept before stands.
        """
        with closing(self._connect()) as database, database:
            database.execute("DELETE FROM cells")
            database.executemany(f"INSERT INTO cells ({_COLUMNS}) VALUES ({_VALUES})", map(astuple, cells))  # noqa: S608

    def _prepare(self) -> None:
        with closing(self._connect()) as database:
            found = database.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, SCHEMA):
                raise sqlite3.DatabaseError(f"schema {found}, this version knows {SCHEMA}")
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(f"CREATE TABLE IF NOT EXISTS cells ({_COLUMNS})")
            database.execute(f"PRAGMA user_version={SCHEMA}")
            database.commit()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=5.0)

    def _set_aside(self, why: str) -> None:
        """Keep the damaged file under another name."""
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.damaged-{number}")).exists():
            number += 1
        self._path.rename(aside)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        log.error("store_set_aside", path=str(self._path), kept_as=str(aside), error=why)
