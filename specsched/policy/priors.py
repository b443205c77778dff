"""What is known of drafts before a service has seen any request: cells from an evaluation, or from another service."""

from collections.abc import Sequence
from dataclasses import replace

from specsched.policy.memory import Cell, Store

PRIOR_COUNTS = 16.0
"""Pseudo-counts of a prior cell at most: as much as a few requests say. Wrong ones cost hardly more than none."""


class PriorStore:
    """A store that knows something of drafts that it has never seen. Where it has seen one, what was seen stands."""

    def __init__(self, store: Store, priors: Sequence[Cell]) -> None:
        """Take a store, and cells to begin with; those of other weights count as kin, as kept ones do."""
        self._store = store
        self._priors = weakened(priors)

    def load(self) -> tuple[Cell, ...]:
        """Return what was kept, and priors of the drafts and regimes of which nothing was."""
        kept = self._store.load()
        seen = {_group(cell) for cell in kept}
        return (*kept, *(cell for cell in self._priors if _group(cell) not in seen))

    def save(self, cells: Sequence[Cell]) -> None:
        """Keep all: a prior that was taken up has become evidence, and is not taken up again."""
        self._store.save(cells)


def weakened(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Let cells count for no more than a prior does."""
    return tuple(map(_weak, cells))


def _group(cell: Cell) -> tuple[str, str, bool, bool]:
    return cell.draft_model, cell.draft_version, cell.sampled, cell.coupled


def _weak(cell: Cell) -> Cell:
    share = min(1.0, PRIOR_COUNTS / max(cell.accepted + cell.rejected, 1e-9))
    return replace(cell, accepted=share * cell.accepted, rejected=share * cell.rejected)
