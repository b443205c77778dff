"""Rows in rectangles, [rows, heads, tokens, head_dim]: reading rows that lie side by side is a view, not a copy."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from specsched.engine.kv.base import BLOCK_TOKENS, KeptBlock, RaggedKV, StoredLayer
from specsched.engine.kv.window import KVRow, Window

_INITIAL_TOKENS = 128


class RectangularLayer(StoredLayer):
    """One layer's rectangles."""

    _storage: "RectangularKV"

    def resize(self, rows: int, tokens: int) -> None:
        """Grow to a new capacity, keeping what is there."""
        if self.is_initialized:
            self.keys, self.values = (_grown(tensor, rows, tokens) for tensor in self.tensors)

    def move(self, source: int, destination: int, length: int) -> None:
        """Copy one row's valid tokens over another row, to the end of their last block."""
        end = -(-length // BLOCK_TOKENS) * BLOCK_TOKENS
        for tensor in self.tensors:
            tensor[destination, :, :end] = tensor[source, :, :end]

    def _allocate(self, new: Tensor) -> Tensor:
        rows, tokens = self._storage.capacity
        return new.new_zeros(rows, new.shape[1], tokens, new.shape[3])

    def _pass(self, store: Tensor, new: Tensor) -> Tensor:
        window = self._storage.window
        first, last = window.rows[0], window.rows[-1] + 1
        if window.contiguous and window.uniform:
            start = window.starts[0]
            store[first:last, :, start : start + window.width] = new
        else:
            store[window.index[:, None], :, window.positions] = new.transpose(1, 2)  # [B, width, heads, head_dim]
        if window.contiguous:
            return store[first:last, :, : window.end]
        return store[:, :, : window.end].index_select(0, window.index)


class RectangularKV(RaggedKV):
    """Every row has a line of its own in rectangles that double as they fill. Kept blocks are copies."""

    def __init__(self, num_layers: int, max_rows: int) -> None:
        self._layers = [RectangularLayer(self) for _ in range(num_layers)]
        super().__init__(self._layers, max_rows)
        self.capacity = (1, _INITIAL_TOKENS)
        self.addresses = np.zeros((num_layers, 0), np.int64)
        """Where each layer's keys and values lie, [layers, 2]; columns are missing until there are any."""

    def allocate(self, heads: int, width: int) -> None:
        """Allocate before the first forward: for one that writes by `addresses` itself.

        Such a forward may order numbers within a block of one head as it likes: whole blocks are copied.
        """
        for layer in self._layers:
            layer.lazy_initialization(*[torch.empty(1, heads, 1, width)] * 2)
        self._locate()

    def keep(self, row: KVRow, start: int) -> KeptBlock:
        """Copy a block out."""
        stop = start + BLOCK_TOKENS
        assert stop <= row.length, "kept a block that is not whole"
        return KeptBlock([[t[row.index, :, start:stop].clone() for t in layer.tensors] for layer in self._layers])

    def adopt(self, row: KVRow, blocks: Sequence[KeptBlock]) -> None:
        """Copy blocks in."""
        assert row.length == 0, "a row that has begun adopts nothing"
        length = len(blocks) * BLOCK_TOKENS
        self._ensure(len(self._rows), length)
        for number, layer in enumerate(self._layers):
            for which, tensor in enumerate(layer.tensors):
                pieces = [block.content[number][which] for block in blocks]  # [heads, BLOCK_TOKENS, head_dim] each
                torch.cat(pieces, dim=1, out=tensor[row.index, :, :length])
        row.length = length

    def release(self, block: KeptBlock) -> None:
        """Drop the copy."""
        block.content = None

    def check_integrity(self) -> None:
        """Assert that every open row lies where its handle says, within capacity."""
        for index, row in enumerate(self._rows):
            assert row.index == index, f"row {index} believes to be {row.index}"
            assert 0 <= row.length <= self.capacity[1], f"row {index} has length {row.length}"

    def _opened(self) -> None:
        self._ensure(len(self._rows), 0)

    def _closed(self, row: KVRow, last: KVRow) -> None:
        if last is not row:
            for layer in self._layers:
                layer.move(last.index, row.index, last.length)

    def _make_room(self, rows: Sequence[KVRow], window: Window) -> None:  # noqa: ARG002 - all lines have one length
        self._ensure(len(self._rows), window.end)

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
            self._locate()

    def _locate(self) -> None:
        self.addresses = np.array([[tensor.data_ptr() for tensor in layer.tensors] for layer in self._layers])


def _grown(tensor: Tensor, rows: int, tokens: int) -> Tensor:
    grown = tensor.new_zeros(rows, tensor.shape[1], tokens, tensor.shape[3])
    grown[: tensor.shape[0], :, : tensor.shape[2]] = tensor
    return grown
