"""The drafts of one engine: in memory, on their way, or only known by name."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TypeVar

from specsched.engine.proposers.base import Proposer
from specsched.engine.row import Row
from specsched.errors import InvalidRequest, Violation
from specsched.records import ModelInfo

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

    def __init__(self, resident: Sequence[LoadedDraft], load: DraftLoader | None = None) -> None:
        """Begin with what is loaded.

        Args:
            resident: The drafts in memory.
            load: Loads more of them; None where there is nothing to load from.
        """
        self._load = load or _no_source
        self._infos = {draft.info.id: draft.info for draft in resident}
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
        if name not in self._loading:
            self._loading[name] = in_background(lambda: self._load(name), f"load {name}")
        return self._loading[name]

    def attach(self) -> None:
        """Take in what was loaded since. Between rounds only: rows keep nothing of a draft that is replaced."""
        for name in [name for name, loading in self._loading.items() if loading.done()]:
            loading = self._loading.pop(name)
            if loading.exception() is None:  # else whoever asked for it has been told
                draft = loading.result()
                self._infos[name], self.proposers[name] = draft.info, draft.proposer

    def unload(self, name: str) -> None:
        """Free a draft's memory. Between rounds only."""
        if name not in self._infos:
            raise unknown_draft(name)
        self._loading.pop(name, None)
        self.proposers.pop(name, None)
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
