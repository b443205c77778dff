"""Rows come, grow, share, leave; what they hold never changes under them, however it is stored."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specsched.engine.kv import KVRow, RaggedKV
from specsched.engine.kv.base import BLOCK_TOKENS
from specsched.engine.kv.blocks import BlockKV
from specsched.engine.kv.rectangles import RectangularKV

CPU = torch.device("cpu")
STORAGES = [RectangularKV, BlockKV]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "close", "write", "keep", "adopt", "release"]), st.integers(0, 5), st.integers(1, 90)
    ),
    max_size=30,
)


def written(kv: RaggedKV, rows: list[KVRow], width: int, value: float) -> torch.Tensor:
    """Write one value at `width` new positions of each row, and return all keys seen."""
    kv.prepare(rows, width, CPU)
    block = torch.full((len(rows), 1, width, 2), value)
    return kv.update(block, block, 0)[0]


def content(kv: RaggedKV, row: KVRow) -> list[float]:
    """What a row holds: a forward that adds one position sees it."""
    return written(kv, [row], 1, -1.0)[0, 0, : row.length, 0].tolist()


class Story:
    """A storage beside plain lists that say what it has to hold."""

    def __init__(self, kv: RaggedKV) -> None:
        self.kv = kv
        self.rows: list[tuple[KVRow, list[float]]] = []
        self.kept: list[tuple[object, list[float]]] = []

    def open(self, _which: int, _width: int, _number: int) -> None:
        if len(self.rows) < 4:
            self.rows.append((self.kv.open(), []))

    def close(self, which: int, _width: int, _number: int) -> None:
        if self.rows:
            row, _ = self.rows.pop(which % len(self.rows))
            self.kv.close(row)

    def write(self, which: int, width: int, number: int) -> None:
        chosen = self.rows[which % len(self.rows) :] if self.rows else []
        if not chosen:
            return
        seen = written(self.kv, [row for row, _ in chosen], width, float(number))
        for of_row, (row, values) in zip(seen, chosen, strict=True):
            values.extend([float(number)] * width)
            row.length += width
            assert of_row[0, : row.length, 0].tolist() == values

    def keep(self, which: int, width: int, _number: int) -> None:
        whole = [(row, values) for row, values in self.rows if row.length >= BLOCK_TOKENS]
        if whole:
            row, values = whole[which % len(whole)]
            start = width % (row.length // BLOCK_TOKENS) * BLOCK_TOKENS
            self.kept.append((self.kv.keep(row, start), values[start : start + BLOCK_TOKENS]))

    def adopt(self, which: int, _width: int, _number: int) -> None:
        empty = [(row, values) for row, values in self.rows if not row.length]
        if empty and self.kept:
            row, values = empty[which % len(empty)]
            chosen = self.kept[which % len(self.kept) :]
            self.kv.adopt(row, [block for block, _ in chosen])
            values.extend(value for _, of_block in chosen for value in of_block)

    def release(self, which: int, _width: int, _number: int) -> None:
        if self.kept:
            self.kv.release(self.kept.pop(which % len(self.kept))[0])


@pytest.mark.parametrize("storage", STORAGES)
@settings(deadline=None, derandomize=True)
@given(steps=STEPS)
def test_any_order_of_opening_writing_sharing_and_closing(storage, steps) -> None:
    story = Story(storage(1, 4))
    for number, (kind, which, width) in enumerate(steps):
        getattr(story, kind)(which, width, number)
        story.kv.check_integrity()
    for row, values in story.rows:
        assert content(story.kv, row) == values


@pytest.mark.parametrize("storage", STORAGES)
def test_not_advancing_is_rolling_back(storage) -> None:
    kv = storage(1, 1)
    row = kv.open()
    written(kv, [row], 3, 1.0)
    row.length = 1
    assert written(kv, [row], 1, 2.0)[0, 0, :, 0].tolist() == [1.0, 2.0]


def test_blocks_are_shared_not_copied_and_free_when_nobody_holds_them() -> None:
    kv = BlockKV(1, 3)
    donor = kv.open()
    written(kv, [donor], 4 * BLOCK_TOKENS, 1.0)
    donor.length = 4 * BLOCK_TOKENS
    blocks = [kv.keep(donor, start) for start in range(0, donor.length, BLOCK_TOKENS)]
    before = kv.memory_bytes()
    heirs = [kv.open() for _ in range(2)]
    for heir in heirs:
        kv.adopt(heir, blocks)
    assert kv.memory_bytes() == before
    kv.close(donor)
    for block in blocks:
        kv.release(block)
    assert content(kv, heirs[1]) == [1.0] * 4 * BLOCK_TOKENS
    for heir in heirs:
        kv.close(heir)
    kv.check_integrity()
    assert len(kv._free) == kv.num_blocks - 1


def test_a_short_row_beside_a_long_one_takes_no_more_blocks_than_it_needs() -> None:
    kv = BlockKV(1, 2)
    long, short = kv.open(), kv.open()
    written(kv, [long], 40 * BLOCK_TOKENS, 1.0)
    long.length = 40 * BLOCK_TOKENS
    written(kv, [long, short], 1, 2.0)
    assert len(kv._tables[short.index]) == 1
