"""Rows' handles, and where one forward's new tokens go."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from specsched.engine.attention import causal_mask
from specsched.engine.transfer import to_device


@dataclass(eq=False, slots=True)
class KVRow:
    """Handle of one row. Both fields belong to the storage."""

    index: int
    length: int = 0
    """Tokens whose keys and values are valid."""


@dataclass(frozen=True)
class Window:
    """The rows of one forward, and where its new tokens go. Every layer asks the same: answers are kept."""

    rows: tuple[int, ...]
    starts: tuple[int, ...]
    width: int
    """New positions per row as laid out, padding included."""
    device: torch.device

    @classmethod
    def over(cls, rows: Sequence[KVRow], width: int, device: torch.device) -> "Window":
        """Describe a forward that adds `width` positions to each of `rows`."""
        return cls(tuple([row.index for row in rows]), tuple([row.length for row in rows]), width, device)

    @cached_property
    def positions(self) -> Tensor:
        """Of the new tokens, [B, width]."""
        return to_device([list(range(start, start + self.width)) for start in self.starts], self.device)

    @cached_property
    def index(self) -> Tensor:
        """The rows as a tensor, [B]."""
        return to_device(self.rows, self.device)

    @cached_property
    def end(self) -> int:
        """Length of the key axis that the forward sees."""
        return max(self.starts) + self.width

    @cached_property
    def contiguous(self) -> bool:
        """Whether the rows lie side by side, so that reading them is a view."""
        first = self.rows[0]
        return self.rows == tuple(range(first, first + len(self.rows)))

    @cached_property
    def uniform(self) -> bool:
        """Whether all rows start at the same position, so that writing them is one copy."""
        return len(set(self.starts)) == 1

    def mask(self, dtype: torch.dtype, sliding_window: int | None) -> Tensor | BlockMask:
        """Return what attention takes to hide keys from queries."""
        return causal_mask(self.positions, self.end, dtype, sliding_window)


@dataclass(frozen=True)
class BlindWindow(Window):
    """A window whose positions only the device knows: the host takes no short cut."""

    known: Tensor = field(default_factory=lambda: torch.zeros(1, 0), repr=False)  # [B, width]
    reach: int = 0

    @property
    def positions(self) -> Tensor:
        """Of the new tokens, as the device was told."""
        return self.known

    @property
    def end(self) -> int:
        """Length of the key axis: room for every row."""
        return self.reach

    @property
    def uniform(self) -> bool:
        """Nobody can tell."""
        return False
