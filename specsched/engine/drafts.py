"""The drafts of one engine: in memory, on their way, or only known by name."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from specsched.engine.proposers.base import Proposer
from specsched.engine.residency import Residency
from specsched.engine.row import Row
from specsched.errors import InvalidRequest, PoolError, Violation
from specsched.records import ModelInfo

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LoadedDraft:
    """A draft that can propose, and what is told of it."""

    info: ModelInfo
    proposer: Proposer


DraftLoader = Callable[[str], LoadedDraft]
"""Loads a draft by name, on a thread of its own.

Raises:
    InvalidRequest: the manifest names no such draft.
    PoolError: it cannot be read, run or paired with the target.
"""


class Drafts:
    """What rounds may propose with. Belongs to the engine's thread; loading is left to threads of their own."""

    def __init__(
        self,
        resident: Sequence[LoadedDraft],
        load: DraftLoader | None = None,
        *,
        evicted: Sequence[ModelInfo] = (),
        limit_bytes: int = 0,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        """Begin with what is loaded.

        Args:
            resident: The drafts in memory.
            load: Loads more of them; None where there is nothing to load from.
            evicted: Those that are known and not in memory.
            limit_bytes: Memory of all drafts together; 0 has no limit.
            sizes: What each takes, weights and KV; its weights alone where it is not named.
        """
        self._load = load or _no_source
        self._infos = {draft.info.id: draft.info for draft in resident}
        self._infos |= {info.id: replace(info, residency="evicted") for info in evicted}
        self._limit_bytes = limit_bytes
        self._sizes = sizes or {}
        self._residency = Residency(limit_bytes)
        self._unloaded: set[str] = set()
        """Those that an operator wants out, or that could not be loaded: they come back only when asked for by name."""
        self._loading: dict[str, Future[LoadedDraft]] = {}
        self.proposers: dict[str, Proposer] = {draft.info.id: draft.proposer for draft in resident}
        """By name: those that rounds may use now."""

    @property
    def names(self) -> set[str]:
        """Every draft that is known, resident or not."""
        return set(self._infos)

    def infos(self) -> tuple[ModelInfo, ...]:
        """What is told of each."""
        self.attach()
        return tuple(
            replace(info, residency="loading") if name in self._loading else info for name, info in self._infos.items()
        )

    def load(self, name: str) -> Future[LoadedDraft]:
        """Begin to load a draft, or its new version (see `EngineCore.load_draft`)."""
        self.attach()
        if self._limit_bytes and self._size(name) > self._limit_bytes:
            raise PoolError(f"{name}: takes {self._size(name):,} bytes, drafts may take {self._limit_bytes:,}")
        self._unloaded.discard(name)
        if name not in self._loading:
            self._loading[name] = in_background(lambda: self._load(name), f"load {name}")
        return self._loading[name]

    def attach(self) -> None:
        """Take in what was loaded since. Between rounds only: rows keep nothing of a draft that is replaced."""
        for name in [name for name, loading in self._loading.items() if loading.done()]:
            loading = self._loading.pop(name)
            error = loading.exception()
            if error is not None:
                log.warning("draft_not_loaded", draft=name, error=str(error))
                self._unloaded.add(name)
                self._residency.given_up(name)
                continue
            draft = loading.result()
            self._make_room(name)
            self._infos[name], self.proposers[name] = draft.info, draft.proposer
            self._residency.loaded(name)

    def unload(self, name: str) -> None:
        """Free a draft's memory. Between rounds only."""
        if name not in self._infos:
            raise unknown_draft(name)
        self._unloaded.add(name)
        self._residency.given_up(name)
        self._evict(name)

    def won(self, name: str, tokens: int) -> None:
        """Count what a draft brought a row in a round."""
        self._residency.won(name, tokens)

    def missed(self, name: str) -> None:
        """Count a row's round that wanted a draft which is not in memory."""
        if name in self._infos and name not in self._unloaded and name not in self._loading:
            self._residency.missed(name)

    def tend(self) -> None:
        """Take in what was loaded, and begin to load what would earn its place. Between rounds only."""
        self.attach()
        self._residency.begin_round()
        for name in self._residency.wanted():
            leaving = self._residency.victims(name, self._size(name), self._resident())
            if leaving is not None and name not in self._loading and name not in self.proposers:
                for other in leaving:
                    self._evict(other)
                self.load(name)

    def _size(self, name: str) -> int:
        return self._sizes.get(name, self._infos[name].memory_bytes if name in self._infos else 0)

    def _resident(self) -> dict[str, int]:
        """Bytes of what is in memory, or is about to be."""
        return {name: self._size(name) for name in (*self.proposers, *self._loading)}

    def _make_room(self, name: str) -> None:
        """Evict the least useful until a draft that has come fits."""
        others = {other: size for other, size in self._resident().items() if other != name}
        while others and not self._residency.fits(self._size(name), others):
            least = self._residency.least_useful(others)
            del others[least]
            self._evict(least)

    def _evict(self, name: str) -> None:
        self._loading.pop(name, None)
        self.proposers.pop(name, None)
        if name in self._infos:  # else it was on its way for the first time
            self._infos[name] = replace(self._infos[name], residency="evicted")

    def forget(self, row: Row) -> None:
        """Free what any draft keeps for a row."""
        for proposer in self.proposers.values():
            proposer.forget(row)


def in_background(work: Callable[[], T], name: str) -> Future[T]:
    """Run something on a thread that does not outlive the process."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the future
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def unknown_draft(name: str) -> InvalidRequest:
    """Make the error of a name that the manifest does not have."""
    return InvalidRequest([Violation("draft_model", f"{name!r} is not in the pool")])


def _no_source(name: str) -> LoadedDraft:
    raise unknown_draft(name)
