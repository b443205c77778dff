"""Taking a new configuration while the service runs: read → parse → validate → check → swap → tell.

Nothing is in force by halves: every part of the service first checks and builds what it needs, on a thread, and only
when all of them could does each put it in force, without a pause between. A bad file changes nothing.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog

from specsched.config.changes import Change, changes
from specsched.config.load import Source
from specsched.config.tree import Config
from specsched.errors import ConfigError, Violation

log = structlog.get_logger()

KEPT = 10
"""Configurations that were in force and can be gone back to, the present one included."""

Commit = Callable[[], None]
"""Puts in force what was prepared. Runs on the event loop and does not fail."""

Part = Callable[[Config], Commit]
"""A part of the service that takes new settings while it runs.

Called on a thread with the configuration that is wanted; checks it against what runs, builds what it needs and returns
what puts it in force. Raises ConfigError with every violation; then, or when another part raises, nothing happens.
"""


class Beside(Protocol):
    """Files that the configuration only names, certificates for example; they are read again together with it."""

    field: str
    """That names them."""

    def prepare(self) -> Commit | None:
        """Read them again and return what puts them in force; None where they are as they were read.

        Raises:
            ConfigError: they cannot be used.
        """
        ...


class Result(StrEnum):
    """How a reload ended; a label of `specsched_config_reloads_total`."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


ReloadObserver = Callable[[Result, str], None]
"""Told of every reload how it ended, and the digest of the configuration that is in force after it."""


class Origin(StrEnum):
    """Where a configuration came from."""

    START = "start"
    FILE = "file"
    CALL = "call"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Kept:
    """A configuration that is, or was, in force."""

    config: Config
    origin: Origin
    since: float
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """All that was read and checked."""

    config: Config
    changes: tuple[Change, ...]
    commits: Sequence[Commit]
    renewed: Mapping[str, Commit]
    """By field."""


class Reloader:
    """Owns the configuration in force. Belongs to one event loop; one reload at a time."""

    def __init__(
        self,
        source: Source,
        config: Config,
        parts: Sequence[Part],
        observe: ReloadObserver = lambda _result, _sha: None,
        clock: Callable[[], float] = time.monotonic,
        beside: Sequence[Beside] = (),
    ) -> None:
        """Begin with what the service was started with.

        Args:
            source: Is read again.
            config: In force.
            parts: Of the service.
            observe: Told of every reload.
            clock: Monotonic seconds.
            beside: Files that are read again with the configuration.
        """
        self._source = source
        self._beside = tuple(beside)
        self._parts = tuple(parts)
        self._observe = observe
        self._clock = clock
        self._lock = asyncio.Lock()
        self._kept = deque([Kept(config, Origin.START, clock())], maxlen=KEPT)

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._kept[-1].config

    @property
    def history(self) -> tuple[Kept, ...]:
        """The last ones that were in force, the present one first."""
        return tuple(reversed(self._kept))

    async def reload(self, text: str | None = None, *, validate_only: bool = False) -> tuple[Change, ...]:
        """Read the source again, or take a text in the file's place; returns what changed, or would.

        Raises:
            ConfigError: every violation; nothing has changed.
        """
        origin = Origin.FILE if text is None else Origin.CALL
        return await self._take(lambda: self._source.read(text), origin, validate_only=validate_only)

    async def rollback(self, sha: str | None = None) -> tuple[Change, ...]:
        """Go back to a configuration that was in force, the one before when no digest is given.

        Raises:
            ConfigError: there is none, or it no longer fits what runs.
        """
        return await self._take(lambda: self._earlier(sha), Origin.ROLLBACK, validate_only=False)

    async def _take(self, read: Callable[[], Config], origin: Origin, *, validate_only: bool) -> tuple[Change, ...]:
        async with self._lock:
            try:
                prepared = await asyncio.to_thread(self._prepared, read)
            except ConfigError as error:
                log.warning("config_refused", origin=origin.value, validate_only=validate_only, error=str(error))
                self._tell(Result.REFUSED, validate_only=validate_only)
                raise
            found = (*prepared.changes, *map(_exchanged, prepared.renewed))
            if not validate_only and found:
                self._put_in_force(prepared, origin)
                fields = [change.field for change in found]
                log.info("config_in_force", origin=origin.value, config_sha=self.config.sha, changed=fields)
            self._tell(Result.APPLIED if found else Result.UNCHANGED, validate_only=validate_only)
            return found

    def _put_in_force(self, prepared: "_Prepared", origin: Origin) -> None:
        for renew in prepared.renewed.values():
            renew()
        if prepared.changes:
            for commit in prepared.commits:
                commit()
            self._kept.append(Kept(prepared.config, origin, self._clock()))

    def _prepared(self, read: Callable[[], Config]) -> "_Prepared":
        """Read, compare, and have every part check and build; one error tells all that is wrong."""
        config = read()
        found = changes(self.config, config)
        violations = list(_restarts(found))
        commits = []
        for part in self._parts:
            try:
                commits.append(part(config))
            except ConfigError as error:
                violations += error.violations or [Violation("", str(error))]
        renewed = {}
        for each in self._beside:
            try:
                if (renew := each.prepare()) is not None:
                    renewed[each.field] = renew
            except ConfigError as error:
                violations.append(Violation(each.field, str(error)))
        if violations:
            raise refusal(violations)
        return _Prepared(config, found, commits, renewed)

    def _earlier(self, sha: str | None) -> Config:
        for kept in self.history[1:]:
            if sha in (None, kept.config.sha):
                return kept.config
        if sha == self.config.sha:
            return self.config
        known = ", ".join(dict.fromkeys(kept.config.sha for kept in self.history))
        what = "no configuration was in force before this one" if sha is None else f"{sha!r} is none of {known}"
        raise ConfigError(f"config_sha: {what}", [Violation("config_sha", what)])

    def _tell(self, result: Result, *, validate_only: bool) -> None:
        if not validate_only:
            self._observe(result, self.config.sha)


def _exchanged(field: str) -> Change:
    return Change(field, before="as it was read", after="read again")


def refusal(violations: Sequence[Violation]) -> ConfigError:
    """One error of several violations."""
    return ConfigError(
        "; ".join(f"{v.field}: {v.description}" if v.field else v.description for v in violations), violations
    )


def _restarts(found: Sequence[Change]) -> Iterator[Violation]:
    for change in found:
        if not change.live:
            yield Violation(
                change.field, f"takes effect by a restart only; it is {change.before}, asked for {change.after}"
            )
