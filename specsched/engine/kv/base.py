"""The storage's port, on transformers' Cache API.

A row is opened, written by forwards, advanced by what was committed, and closed. Writing does not lengthen a row:
advancing `length` does, so roll-back is simply not advancing (ENGINE.md, "Ragged batches"). Compaction, growth,
sharing and where a row lies are the storage's business alone; the engine holds `KVRow` handles.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

from specsched.engine.kv.window import KVRow, Window

BLOCK_TOKENS = 16
"""Tokens that are kept and shared as one."""


@dataclass(eq=False, slots=True)
class KeptBlock:
    """Keys and values of `BLOCK_TOKENS` tokens that outlive their row. `content` belongs to the storage."""

    content: Any


class StoredLayer(CacheLayerMixin, ABC):
    """One layer's keys and values."""

    is_sliding = False  # sliding windows are a matter of the mask; the storage keeps everything

    def __init__(self, storage: "RaggedKV") -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers leaves **kwargs untyped
        self._storage = storage

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate on first use, when heads, width and dtype are known."""
        self.keys, self.values = self._allocate(key_states), self._allocate(value_states)
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the window's new positions and return all keys and values that it sees.

        Args:
            key_states: [B, heads, width, head_dim]
            value_states: [B, heads, width, head_dim]

        Returns:
            Both as [B, heads, window.end, head_dim]; columns beyond a row's own positions hold rubbish (masked).
        """
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        keys, values = self.tensors
        return self._pass(keys, key_states), self._pass(values, value_states)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Keys and values, once there are any."""
        return (cast("Tensor", self.keys), cast("Tensor", self.values)) if self.is_initialized else ()

    def get_seq_length(self) -> int:
        """Part of the Cache API; the longest row before this forward."""
        return max(self._storage.window.starts)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Part of the Cache API; masks are built by the caller."""
        return self.get_seq_length() + query_length, 0

    def get_max_length(self) -> int:
        """Part of the Cache API: no fixed maximum."""
        return -1

    @abstractmethod
    def _allocate(self, new: Tensor) -> Tensor:
        """Return zeros of the storage's capacity for tensors like `new`, [B, heads, width, head_dim]."""

    @abstractmethod
    def _pass(self, store: Tensor, new: Tensor) -> Tensor:
        """Write `new`, [B, heads, width, head_dim], and return what the window sees, [B, heads, end, head_dim]."""


class RaggedKV(Cache, ABC):
    """Keys and values of all rows of one model. Open rows have the indices 0 … n - 1."""

    in_place = False
    """Whether attention may be handed the whole storage, with a block mask that says what it sees."""

    def __init__(self, layers: Sequence[StoredLayer], max_rows: int) -> None:
        super().__init__(layers=[*layers])
        self._max_rows = max_rows
        self._rows: list[KVRow] = []
        self.window = Window((0,), (0,), 0, torch.device("cpu"))

    @property
    def open_rows(self) -> tuple[KVRow, ...]:
        """The rows that are open, by index."""
        return tuple(self._rows)

    def open(self) -> KVRow:
        """Open an empty row."""
        assert len(self._rows) < self._max_rows, "more rows than the storage was made for"
        row = KVRow(len(self._rows))
        self._rows.append(row)
        self._opened()
        return row

    def close(self, row: KVRow) -> None:
        """Free a row; the last one takes its index, so that the rest stay side by side."""
        assert row.index >= 0, "closed a row that is not open"
        assert self._rows[row.index] is row, "closed a row that is not open"
        last = self._rows.pop()
        self._closed(row, last)
        if last is not row:
            self._rows[row.index] = last
            last.index = row.index
        row.index = -1

    def prepare(self, rows: Sequence[KVRow], width: int, device: torch.device) -> Window:
        """Make room for a forward that adds `width` positions to each of `rows`, and nothing elsewhere."""
        self.window = Window.over(rows, width, device)
        self._make_room(rows, self.window)
        return self.window

    def memory_bytes(self) -> int:
        """Bytes held now, kept blocks left out where they lie apart."""
        return sum(t.numel() * t.element_size() for layer in self.stored_layers for t in layer.tensors)

    @property
    def kind(self) -> str:
        """What it is, and how it is read: part of what makes two workers' numbers equal."""
        return type(self).__name__

    @property
    def stored_layers(self) -> Sequence[StoredLayer]:
        """The layers, as what they are."""
        return cast("Sequence[StoredLayer]", self.layers)

    @abstractmethod
    def keep(self, row: KVRow, start: int) -> KeptBlock:
        """Keep the row's tokens start … start + BLOCK_TOKENS - 1, a whole block of valid ones, beyond its end."""

    @abstractmethod
    def adopt(self, row: KVRow, blocks: Sequence[KeptBlock]) -> None:
        """Begin an empty row with kept blocks, the first token's first."""

    @abstractmethod
    def release(self, block: KeptBlock) -> None:
        """Let go of a kept block; rows that adopted it are not touched."""

    @abstractmethod
    def check_integrity(self) -> None:
        """Assert that every open row lies where its handle says, and that nothing is held that nobody owns."""

    def _opened(self) -> None:
        """Make room for the row that has just been opened."""

    @abstractmethod
    def _closed(self, row: KVRow, last: KVRow) -> None:
        """Free what `row` holds; `last`, which may be the same, takes its index next."""

    @abstractmethod
    def _make_room(self, rows: Sequence[KVRow], window: Window) -> None:
        """Have room for every position of the window."""
