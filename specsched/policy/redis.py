"""Learned state in Redis, for replicas. One that is slow or away is said once and delays nobody.

One hash per identity of the service: field `born` marks the hash, `base` holds what replicas that are gone contributed,
and every other field is a living replica's contribution.
"""

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from specsched.errors import ConfigError
from specsched.policy.memory import Cell
from specsched.policy.shared import Key, Ledger, Sums, plus, start_of, sums_of

log = structlog.get_logger()

_PREFIX = "specsched:policy:1:"
_BORN, _BASE = "born", "base"
_TIMEOUT_SECONDS = 0.5
GONE_SECONDS = 24 * 3600.0
"""A replica that wrote nothing for so long is gone."""


class RedisStore:
    """Used from one thread at a time."""

    def __init__(
        self, url: str, identity: str, versions: Mapping[str, str], clock: Callable[[], float] = time.time
    ) -> None:
        """Name the server; nothing is sent yet.

        Args:
            url: redis://… or rediss://… or unix://…
            identity: Of target, classifier and bounds: only what is equal in these is shared.
            versions: Draft → its arm's identity, as in the policy's cells.
            clock: Unix time: it is compared between machines, roughly.

        Raises:
            ConfigError: no such URL, or the client is not installed.
        """
        try:
            from redis import Redis, RedisError  # noqa: PLC0415  # an extra
            from redis.backoff import NoBackoff  # noqa: PLC0415
            from redis.retry import Retry  # noqa: PLC0415
        except ImportError as error:
            raise ConfigError("store.redis_url needs the Redis client: pip install 'specsched[redis]'") from error
        try:
            self._redis: Any = Redis.from_url(
                url,
                socket_timeout=_TIMEOUT_SECONDS,
                socket_connect_timeout=_TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),  # the next second is soon enough
            )
        except ValueError as error:
            raise ConfigError(f"store.redis_url: {error}") from error
        self._failure = RedisError
        self._key = _PREFIX + identity
        self._versions = versions
        self._clock = clock
        self._ledger = Ledger(versions)
        self._name = uuid.uuid4().hex
        self._born: str | None = None
        """Mark of the hash that this replica has written to."""

    def load(self) -> tuple[Cell, ...]:
        """Return what all replicas know; nothing when the server is away: a service starts without it."""
        try:
            found = self._redis.hgetall(self._key)
        except self._failure as error:
            log.warning("store_failed", error=str(error))
            return ()
        cells = start_of(_total(_contributions(found)), self._versions)
        self._ledger.hold(cells)
        return cells

    def save(self, cells: Sequence[Cell]) -> None:
        """Write this replica's contribution.

        Raises:
            redis.RedisError: the server is away; it is all written the next time.
        """
        self.sync(cells)

    def sync(self, cells: Sequence[Cell]) -> tuple[Cell, ...]:
        """Write this replica's contribution and read what others changed.

        Raises:
            redis.RedisError: the server is away; it is all written the next time.
        """
        own = self._ledger.changed(cells)
        found = self._enter(cells) if self._born is None else self._redis.hgetall(self._key)
        if self._lost(found):
            found = self._enter(cells)
            own = self._ledger.own
        self._redis.hset(self._key, self._name, _packed(own, self._clock()))
        self._ledger.wrote()
        others = _contributions(found)
        others[self._name] = (own, self._clock())
        self._fold(others)
        return self._ledger.news(_total(others))

    def took(self, news: Sequence[Cell]) -> None:
        """The last news were added."""
        self._ledger.took(news)

    def _lost(self, found: Mapping[bytes, bytes]) -> bool:
        """Whether this replica's contribution is no longer there as it was left."""
        return found.get(_BORN.encode()) != (self._born or "").encode() or self._name.encode() not in found

    def _enter(self, cells: Sequence[Cell]) -> dict[bytes, bytes]:
        """Take a place in the hash. One that was lost gets a base of all that is known, from the first to come."""
        again = self._born is not None
        mark = uuid.uuid4().hex
        if self._redis.hsetnx(self._key, _BORN, mark):
            if again:  # everything was lost; every replica held all of it, so one is enough
                self._redis.hset(self._key, _BASE, _packed(sums_of(cells), self._clock()))
                self._ledger.gave_all()
        elif again:  # another wrote the base, or folded this one into it
            self._ledger.begin_again()
        self._name = uuid.uuid4().hex
        self._redis.hset(self._key, self._name, _packed(self._ledger.own, self._clock()))
        found: dict[bytes, bytes] = self._redis.hgetall(self._key)
        self._born = found[_BORN.encode()].decode()
        return found

    def _fold(self, contributions: Mapping[str, tuple[Sums, float]]) -> None:
        """Add to the base what replicas that are gone have contributed; leave it when somebody else is at it."""
        gone = [
            name
            for name, (_, at) in contributions.items()
            if name not in (_BASE, self._name) and self._clock() - at > GONE_SECONDS
        ]
        if not gone:
            return
        from redis import WatchError  # noqa: PLC0415  # an extra

        try:
            with self._redis.pipeline() as pipe:
                pipe.watch(self._key)
                now = _contributions(pipe.hgetall(self._key))
                base = now.get(_BASE, ({}, 0.0))[0]
                for name in gone:
                    base = plus(base, now.get(name, ({}, 0.0))[0])
                pipe.multi()
                pipe.hset(self._key, _BASE, _packed(base, self._clock()))
                pipe.hdel(self._key, *gone)
                pipe.execute()
        except WatchError:
            return


def _total(contributions: Mapping[str, tuple[Sums, float]]) -> Sums:
    total: Sums = {}
    for sums, _ in contributions.values():
        total = plus(total, sums)
    return total


def _packed(sums: Sums, at: float) -> str:
    return json.dumps({"at": at, "cells": [[*key, *pair] for key, pair in sums.items()]}, separators=(",", ":"))


def _contributions(found: Mapping[bytes, bytes]) -> dict[str, tuple[Sums, float]]:
    """Contributions by name, with the times when they were written; one that cannot be read is left out."""
    read = {}
    for name, content in found.items():
        if name == _BORN.encode():
            continue
        try:
            tree = json.loads(content)
            read[name.decode()] = ({_key(row[:6]): (float(row[6]), float(row[7])) for row in tree["cells"]}, tree["at"])
        except (ValueError, KeyError, TypeError, IndexError):
            log.warning("store_contribution_unreadable", replica=name.decode(errors="replace"))
    return read


def _key(row: Sequence[Any]) -> Key:
    sampled, coupled, draft, version, prompt_class, position = row
    return (bool(sampled), bool(coupled), str(draft), str(version), str(prompt_class), int(position))
