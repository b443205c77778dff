"""The audit trail: who changed what for everybody, when, and what came of it."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Action:
    """One call that changes something for all, or that was refused. Never text of prompts."""

    who: str
    """The credential's name; empty where none was asked for or none was known."""
    peer: str
    """Address that the call came from."""
    what: str
    result: str
    """Name of the status code."""
    arguments: Mapping[str, str | int | float | bool] = field(default_factory=dict)


class AuditTrail(Protocol):
    """Keeps actions. Called on the event loop; never raises."""

    def write(self, action: Action) -> None:
        """Keep one."""
        ...


class AuditLog:
    """Writes actions to the log, and to a file of JSON lines where one is named."""

    def __init__(self, path: Path | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Name the file; it is opened for every line, so that it can be rotated."""
        self._path = path
        self._now = now

    def write(self, action: Action) -> None:
        """Keep one. The action has happened: a file that cannot be written is an error in the log, no more."""
        log.info("audit", **asdict(action))
        if self._path is None:
            return
        line = json.dumps({"timestamp": self._now().isoformat(), **asdict(action)}) + "\n"
        try:
            with open(self._path, "a", encoding="utf-8", opener=_private) as file:
                file.write(line)
        except OSError as error:
            log.error("audit_file_failed", file=str(self._path), error=error.strerror)  # noqa: TRY400 - no traceback


class AuditList:
    """Keeps actions in memory, for tests."""

    def __init__(self) -> None:
        self.actions: list[Action] = []

    def write(self, action: Action) -> None:
        """Keep one."""
        self.actions.append(action)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
