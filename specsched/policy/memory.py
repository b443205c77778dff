"""What a policy has learnt, apart from the policy: cells that can be kept, shown and taken up again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

EVERY_CLASS = ""
"""In place of a class: the cell is of the draft itself, whatever the prompt, and says how often it falls short."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Evidence on one hazard, discounted as far as the policy has forgotten.

    One of `EVERY_CLASS` is evidence on 1 − ψ (`Shortfalls`): where not all tokens up to its position were drafted and
    accepted, how often that one was drafted, `accepted`, and how often not, `rejected`. It is of no regime.
    """

    sampled: bool
    coupled: bool
    draft_model: str
    draft_version: str
    """Of the weights that were observed; empty where nobody gave it."""
    prompt_class: str
    position: int
    """From 1."""
    accepted: float
    rejected: float


@runtime_checkable
class Learner(Protocol):
    """A policy whose learned state can be kept."""

    @property
    def revision(self) -> int:
        """Grows with every observation: what was kept is out of date when it differs."""
        ...

    def export(self) -> tuple[Cell, ...]:
        """Return all evidence."""
        ...

    def restore(self, cells: Sequence[Cell]) -> None:
        """Take evidence up, before anything is observed. Cells of unknown classes or positions are left out."""
        ...


class Store(Protocol):
    """Keeps cells over restarts. Used by one process at a time; calls block."""

    def load(self) -> tuple[Cell, ...]:
        """Return what was kept last; nothing where nothing was."""
        ...

    def save(self, cells: Sequence[Cell]) -> None:
        """Replace what is kept, all of it or nothing."""
        ...


class NullStore:
    """Keeps nothing."""

    def load(self) -> tuple[Cell, ...]:
        """Nothing."""
        return ()

    def save(self, cells: Sequence[Cell]) -> None:
        """Nothing."""
