"""Ragged KV storage on transformers' Cache API: rows of different lengths in rectangular tensors.

A row is opened, written by forwards, advanced by what was committed, and closed. Writing does not lengthen a row:
`advance` does, so roll-back is simply not advancing (ENGINE.md, "Ragged batches"). Compaction, growth and where a
row lies are this file's business alone; the engine holds `KVRow` handles.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

_INITIAL_TOKENS = 128


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
    positions: Tensor = field(repr=False)  # [B, width]

    @classmethod
    def over(cls, rows: Sequence[KVRow], width: int, device: torch.device) -> "Window":
        """Describe a forward that adds `width` positions to each of `rows`."""
        starts = tuple(row.length for row in rows)
        positions = torch.tensor([list(range(start, start + width)) for start in starts], device=device)
        return cls(tuple(row.index for row in rows), starts, width, positions)

    @cached_property
    def index(self) -> Tensor:
        """The rows as a tensor, [B]."""
        return torch.tensor(self.rows, device=self.positions.device)

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


class RaggedLayer(CacheLayerMixin):
    """One layer's keys and values, [rows, heads, tokens, head_dim]."""

    is_sliding = False  # sliding windows are a matter of the mask; the storage keeps everything

    def __init__(self, storage: "RaggedKV") -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers leaves **kwargs untyped
        self._storage = storage

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate on first use, when heads, width and dtype are known."""
        rows, tokens = self._storage.capacity
        self.keys = key_states.new_zeros(rows, key_states.shape[1], tokens, key_states.shape[3])
        self.values = value_states.new_zeros(rows, value_states.shape[1], tokens, value_states.shape[3])
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
        keys, values = cast("Tensor", self.keys), cast("Tensor", self.values)
        window = self._storage.window
        return _write_and_read(keys, key_states, window), _write_and_read(values, value_states, window)

    def get_seq_length(self) -> int:
        """Part of the Cache API; the longest row before this forward."""
        return max(self._storage.window.starts)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Part of the Cache API; masks are built by the caller."""
        return self.get_seq_length() + query_length, 0

    def get_max_length(self) -> int:
        """Part of the Cache API: no fixed maximum."""
        return -1

    def resize(self, rows: int, tokens: int) -> None:
        """Grow to a new capacity, keeping what is there."""
        if self.is_initialized:
            self.keys, self.values = (_grown(cast("Tensor", t), rows, tokens) for t in (self.keys, self.values))

    def move(self, source: int, destination: int, length: int) -> None:
        """Copy one row's valid tokens over another row."""
        for tensor in (self.keys, self.values):
            if tensor is not None:
                tensor[destination, :, :length] = tensor[source, :, :length]


class RaggedKV(Cache):
    """Keys and values of all rows of one model. Open rows always lie at indices 0 … n - 1."""

    def __init__(self, num_layers: int, max_rows: int) -> None:
        self._layers = [RaggedLayer(self) for _ in range(num_layers)]
        super().__init__(layers=[*self._layers])
        self._max_rows = max_rows
        self._rows: list[KVRow] = []
        self.capacity = (1, _INITIAL_TOKENS)
        self.window = Window((0,), (0,), 0, torch.zeros(1, 0))

    @property
    def open_rows(self) -> tuple[KVRow, ...]:
        """The rows that are open, by index."""
        return tuple(self._rows)

    def open(self) -> KVRow:
        """Open an empty row."""
        assert len(self._rows) < self._max_rows, "more rows than the storage was made for"
        row = KVRow(len(self._rows))
        self._rows.append(row)
        self._ensure(len(self._rows), 0)
        return row

    def close(self, row: KVRow) -> None:
        """Free a row; the last one moves into its place, so that the rest stay contiguous."""
        last = self._rows.pop()
        if last is not row:
            assert self._rows[row.index] is row, "closed a row that is not open"
            self._move(last, row.index)
        row.index = -1

    def prepare(self, rows: Sequence[KVRow], width: int, device: torch.device) -> Window:
        """Make room for a forward that adds `width` positions to each of `rows`, and nothing elsewhere."""
        self.window = Window.over(rows, width, device)
        self._ensure(len(self._rows), self.window.end)
        return self.window

    def memory_bytes(self) -> int:
        """Bytes held now."""
        tensors = (t for layer in self._layers for t in (layer.keys, layer.values) if t is not None)
        return sum(t.numel() * t.element_size() for t in tensors)

    def check_integrity(self) -> None:
        """Assert that every open row lies where its handle says, within capacity."""
        for index, row in enumerate(self._rows):
            assert row.index == index, f"row {index} believes to be {row.index}"
            assert 0 <= row.length <= self.capacity[1], f"row {index} has length {row.length}"

    def _move(self, row: KVRow, destination: int) -> None:
        for layer in self._layers:
            layer.move(row.index, destination, row.length)
        self._rows[destination] = row
        row.index = destination

    def _ensure(self, rows: int, tokens: int) -> None:
        """Double the capacity until it holds what is asked."""
        have_rows, have_tokens = self.capacity
        while have_rows < rows:
            have_rows *= 2
        while have_tokens < tokens:
            have_tokens *= 2
        if (have_rows, have_tokens) != self.capacity:
            self.capacity = (have_rows, have_tokens)
            for layer in self._layers:
                layer.resize(have_rows, have_tokens)


def _write_and_read(store: Tensor, new: Tensor, window: Window) -> Tensor:
    first, last = window.rows[0], window.rows[-1] + 1
    if window.contiguous and window.uniform:
        start = window.starts[0]
        store[first:last, :, start : start + window.width] = new
    else:
        store[window.index[:, None], :, window.positions] = new.transpose(1, 2)  # [B, width, heads, head_dim]
    if window.contiguous:
        return store[first:last, :, : window.end]
    return store[:, :, : window.end].index_select(0, window.index)


def _grown(tensor: Tensor, rows: int, tokens: int) -> Tensor:
    grown = tensor.new_zeros(rows, tensor.shape[1], tokens, tensor.shape[3])
    grown[: tensor.shape[0], :, : tensor.shape[2]] = tensor
    return grown
