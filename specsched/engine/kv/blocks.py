"""Rows in blocks of one pool, with a table per row (Kwon et al. 2023, arXiv 2309.06180): no row pays for the longest.

Kept blocks are shared, not copied: a block is free when neither a row nor a keeper holds it. Rows write beyond what
they adopted, so a shared block is never written. Reading gathers a window's keys and values into one tensor, unless
attention follows the tables itself (`paged`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from specsched.engine.kv.base import BLOCK_TOKENS, KeptBlock, RaggedKV, StoredLayer
from specsched.engine.kv.window import BlindWindow, KVRow, Window
from specsched.engine.paged import page_mask
from specsched.engine.transfer import to_device

_INITIAL_BLOCKS = 8
_NULL_BLOCK = 0
"""Stands in a table where a row has no block: what is read there is masked, and has to be finite. Padding is written
there."""


class BlockLayer(StoredLayer):
    """One layer's pool, [blocks × BLOCK_TOKENS, heads, head_dim]."""

    _storage: "BlockKV"

    def resize(self, blocks: int) -> None:
        """Grow the pool, keeping what is there."""
        if self.is_initialized:
            self.keys, self.values = (_grown(tensor, blocks * BLOCK_TOKENS) for tensor in self.tensors)

    def _allocate(self, new: Tensor) -> Tensor:
        return new.new_zeros(self._storage.num_blocks * BLOCK_TOKENS, new.shape[1], new.shape[3])

    def _pass(self, store: Tensor, new: Tensor) -> Tensor:
        store[self._storage.written] = new.transpose(1, 2)  # [B, width, heads, head_dim]
        seen = self._storage.seen
        return store.transpose(0, 1)[None] if seen is None else store[seen].transpose(1, 2)


@dataclass(frozen=True)
class PagedWindow(BlindWindow):
    """A window whose keys stay where they lie; attention is told where."""

    table: Tensor = field(default_factory=lambda: torch.zeros(1, 0), repr=False)  # [B, blocks]
    counts: Tensor = field(default_factory=lambda: torch.zeros(1), repr=False)  # [B]
    blocks: int = 0
    """Of the pool."""

    def mask(self, dtype: torch.dtype, sliding_window: int | None) -> Tensor | BlockMask:  # noqa: ARG002 - no numbers
        """Return the block mask."""
        return page_mask(self.positions, self.table, self.counts, (self.blocks, BLOCK_TOKENS), sliding_window)


class BlockKV(RaggedKV):
    """Every row has a table of blocks. The pool doubles when no block is free."""

    def __init__(
        self, num_layers: int, max_rows: int, blocks: int = _INITIAL_BLOCKS, *, in_place: bool = False
    ) -> None:
        """Begin empty.

        Args:
            num_layers: Of the model.
            max_rows: Rows that may be open at once.
            blocks: Room before the pool has to move.
            in_place: Whether attention follows the tables where only the device knows the positions (`follow`).
        """
        self._layers = [BlockLayer(self) for _ in range(num_layers)]
        super().__init__(self._layers, max_rows)
        self.num_blocks = blocks
        self.in_place = in_place
        self._tables: list[list[int]] = []
        """By the row's index."""
        self._holders = [1] + [0] * (blocks - 1)
        """Rows and keepers of each block; the null block has one for ever."""
        self._free = list(range(blocks - 1, 0, -1))
        self._kept: set[KeptBlock] = set()
        self.written: Tensor = torch.zeros(1, 0, dtype=torch.long)
        """Slots that the window writes, [B, width]."""
        self.seen: Tensor | None = None
        """Slots that it sees, [B, end]; None where it sees the whole pool."""

    def keep(self, row: KVRow, start: int) -> KeptBlock:
        """Hold a block beside its row."""
        assert start % BLOCK_TOKENS == 0, "kept a block that is none"
        assert start + BLOCK_TOKENS <= row.length, "kept a block that is not whole"
        block = KeptBlock(self._tables[row.index][start // BLOCK_TOKENS])
        self._holders[block.content] += 1
        self._kept.add(block)
        return block

    def adopt(self, row: KVRow, blocks: Sequence[KeptBlock]) -> None:
        """Put kept blocks into the row's table."""
        assert not self._tables[row.index], "a row that has begun adopts nothing"
        for block in blocks:
            self._holders[block.content] += 1
            self._tables[row.index].append(block.content)
        row.length = len(blocks) * BLOCK_TOKENS

    def release(self, block: KeptBlock) -> None:
        """Let go of a block."""
        self._kept.remove(block)
        self._let_go(block.content)

    def check_integrity(self) -> None:
        """Assert that blocks are held by exactly those who say so, and that each row's table covers it."""
        held = [0] * self.num_blocks
        held[_NULL_BLOCK] = 1
        for index, (row, table) in enumerate(zip(self._rows, self._tables, strict=True)):
            assert row.index == index, f"row {index} believes to be {row.index}"
            assert row.length <= len(table) * BLOCK_TOKENS, f"row {index} has length {row.length}"
            for block in table:
                held[block] += 1
        for kept in self._kept:
            held[kept.content] += 1
        assert held == self._holders, "blocks are lost, or held twice"
        assert sorted(self._free) == [block for block, holders in enumerate(held) if not holders]

    def lines(self, rows: Sequence[KVRow], more: Sequence[int], size: int, device: torch.device) -> Tensor:
        """Make room for more[i] tokens in rows[i] and say where they lie.

        Returns:
            [size, 1 + blocks] on the device: each row's length, then its table. Rows beyond are empty; there is a
            power of two of blocks, so that few shapes come up.
        """
        tables = [self._tables[row.index] for row in rows]
        for table, row, count in zip(tables, rows, more, strict=True):
            self._cover(table, row.length + count)
        longest = max(-(-(row.length + count) // BLOCK_TOKENS) for row, count in zip(rows, more, strict=True))
        blocks = 1 << max(0, longest - 1).bit_length()
        packed = [[row.length, *_padded(table[:blocks], blocks)] for row, table in zip(rows, tables, strict=True)]
        return to_device([*packed, *([[0] * (1 + blocks)] * (size - len(rows)))], device)

    def follow(self, starts: Tensor, table: Tensor, counts: Tensor, width: int) -> Window:
        """Prepare a forward by what stands on the device alone.

        Args:
            starts: [B]
            table: [B, blocks]
            counts: [B], how many of the new positions are each row's own; the others are written to the null block.
            width: New positions a row.
        """
        column = torch.arange(width, device=starts.device)
        positions = starts[:, None] + column  # [B, width]
        slots = _slots(table)  # [B, end]
        end = slots.shape[1]
        own = slots.gather(1, positions.clamp(max=end - 1))
        self.written = torch.where(column < counts[:, None], own, _NULL_BLOCK * BLOCK_TOKENS + column % BLOCK_TOKENS)
        self.seen = None if self.in_place else slots
        blind = tuple(range(len(starts))), (0,) * len(starts), width, starts.device, positions, end
        self.window = PagedWindow(*blind, table, counts, self.num_blocks) if self.in_place else BlindWindow(*blind)
        return self.window

    @property
    def kind(self) -> str:
        """What it is, and whether it is read in place."""
        return super().kind + (" in place" if self.in_place else "")

    @property
    def layout(self) -> int:
        """Another number whenever the pool has moved."""
        return self.num_blocks

    def _opened(self) -> None:
        self._tables.append([])

    def _closed(self, row: KVRow, last: KVRow) -> None:
        for block in self._tables[row.index]:
            self._let_go(block)
        self._tables[row.index] = self._tables[last.index]
        self._tables.pop()

    def _make_room(self, rows: Sequence[KVRow], window: Window) -> None:
        tables = [self._tables[row.index] for row in rows]
        for table, start in zip(tables, window.starts, strict=True):
            self._cover(table, start + window.width)
        count = -(-window.end // BLOCK_TOKENS)
        padded = [_padded(table[:count], count) for table in tables]
        slots = _slots(to_device(padded, window.device))  # [B, ≥ end]
        self.seen = slots[:, : window.end]
        self.written = slots.gather(1, window.positions)

    def _cover(self, table: list[int], tokens: int) -> None:
        """Lengthen a table until it holds so many tokens."""
        while len(table) * BLOCK_TOKENS < tokens:
            if not self._free:
                self._grow()
            block = self._free.pop()
            self._holders[block] = 1
            table.append(block)

    def _grow(self) -> None:
        more = range(self.num_blocks, 2 * self.num_blocks)
        self.num_blocks *= 2
        self._free.extend(reversed(more))
        self._holders.extend(0 for _ in more)
        for layer in self._layers:
            layer.resize(self.num_blocks)

    def _let_go(self, block: int) -> None:
        self._holders[block] -= 1
        if not self._holders[block]:
            self._free.append(block)


def _padded(table: Sequence[int], count: int) -> list[int]:
    return [*table, *([_NULL_BLOCK] * (count - len(table)))]


def _slots(table: Tensor) -> Tensor:
    """Spell blocks out, [B, blocks] → [B, blocks × BLOCK_TOKENS]."""
    return (table[:, :, None] * BLOCK_TOKENS + torch.arange(BLOCK_TOKENS, device=table.device)).flatten(1)


def _grown(tensor: Tensor, slots: int) -> Tensor:
    grown = tensor.new_zeros(slots, *tensor.shape[1:])
    grown[: len(tensor)] = tensor
    return grown
