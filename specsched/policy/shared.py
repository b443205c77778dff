"""Learned state that several replicas build together: each adds up its own changes, all read the sum.

What a replica contributes to a cell is a sum of signed changes: what it saw, less what it forgot. Sums of sums are the
evidence that one scheduler would hold that had seen it all, forgetting by everybody's rounds. A change alarm or a reset
is a change too. Nothing is counted twice: a replica overwrites its own sum and no other.

Decision (2026-11): signed sums instead of counts per epoch that readers discount. Readers need not know how a policy
forgets, and what forgot on an alarm is forgotten everywhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from specsched.policy.memory import Cell

Key = tuple[bool, bool, str, str, str, int]
Sums = dict[Key, tuple[float, float]]
"""Cell → accepted and rejected; signed."""

_NOTHING = (0.0, 0.0)
_LEAST = 1e-9


@runtime_checkable
class SharedStore(Protocol):
    """A store that others write too."""

    def sync(self, cells: Sequence[Cell]) -> tuple[Cell, ...]:
        """Hand over the present state; returns what others changed, signed, to be added to it. Blocks."""
        ...

    def took(self, news: Sequence[Cell]) -> None:
        """Say that the last `sync`'s news were added."""
        ...


def key_of(cell: Cell) -> Key:
    """What cells are told apart by."""
    return (cell.sampled, cell.coupled, cell.draft_model, cell.draft_version, cell.prompt_class, cell.position)


def sums_of(cells: Iterable[Cell]) -> Sums:
    """Cells as sums."""
    return {key_of(cell): (cell.accepted, cell.rejected) for cell in cells}


def cells_of(sums: Mapping[Key, tuple[float, float]]) -> tuple[Cell, ...]:
    """Sums as cells, without those that are nothing."""
    return tuple(Cell(*key, *pair) for key, pair in sums.items() if max(map(abs, pair)) > _LEAST)


def plus(one: Sums, other: Sums, sign: float = 1.0) -> Sums:
    """Add or subtract cell by cell."""
    return {
        key: (
            one.get(key, _NOTHING)[0] + sign * other.get(key, _NOTHING)[0],
            one.get(key, _NOTHING)[1] + sign * other.get(key, _NOTHING)[1],
        )
        for key in one.keys() | other.keys()
    }


def floored(sums: Sums) -> Sums:
    """Counts: what several forgot at once may come to less than nothing."""
    return {key: (max(0.0, accepted), max(0.0, rejected)) for key, (accepted, rejected) in sums.items()}


def start_of(total: Sums, versions: Mapping[str, str]) -> tuple[Cell, ...]:
    """What a newcomer starts from: cells of its drafts' own versions, or of their kin where nobody has any."""
    cells = cells_of(floored(total))
    known = {cell.draft_model for cell in cells if is_known(key_of(cell), versions)}
    return tuple(cell for cell in cells if is_known(key_of(cell), versions) or cell.draft_model not in known)


def is_known(key: Key, versions: Mapping[str, str]) -> bool:
    """Whether a cell is of a draft's present version."""
    return versions.get(key[2], "") == key[3]


class Ledger:
    """One replica's side: what it has contributed, and what its policy held when it last looked."""

    def __init__(self, versions: Mapping[str, str]) -> None:
        self._versions = dict(versions)
        self.own: Sums = {}
        """Sum of its changes."""
        self._held: Sums = {}
        self._written: Sums = {}

    def hold(self, cells: Sequence[Cell]) -> None:
        """The policy took these up as they are; kin's few counts are a contribution of its own."""
        self._held = sums_of(cell for cell in cells if is_known(key_of(cell), self._versions))

    def changed(self, cells: Sequence[Cell]) -> Sums:
        """Add to its contribution what the policy changed since it last looked; returns the contribution.

        A draft that came in a new version takes nothing from what stands of the old one: others may still run it.
        """
        now = sums_of(cells)
        self._versions |= {cell.draft_model: cell.draft_version for cell in cells}
        self._held = {key: pair for key, pair in self._held.items() if is_known(key, self._versions)}
        self.own = plus(self.own, plus(now, self._held, -1.0))
        self._held = now
        return self.own

    def news(self, total: Sums) -> tuple[Cell, ...]:
        """What the policy lacks, or has too much of, against the total."""
        lacking = plus(floored(total), self._held, -1.0)
        return cells_of({key: pair for key, pair in lacking.items() if is_known(key, self._versions)})

    def took(self, news: Sequence[Cell]) -> None:
        """The policy added these."""
        self._held = plus(self._held, sums_of(news))

    def wrote(self) -> None:
        """The contribution stands where all can read it."""
        self._written = self.own

    def begin_again(self) -> None:
        """What was written so far stands under another name now: contribute what came since."""
        self.own, self._written = plus(self.own, self._written, -1.0), {}

    def gave_all(self) -> None:
        """All that the policy holds stands under another name now."""
        self.own, self._written = {}, {}
