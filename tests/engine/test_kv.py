"""Rows come, grow, leave; what they hold never changes under them."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specsched.engine.kv import KVRow, RaggedKV

CPU = torch.device("cpu")
STEPS = st.lists(
    st.tuples(st.sampled_from(["open", "close", "write"]), st.integers(0, 5), st.integers(1, 90)), max_size=30
)


def written(kv: RaggedKV, rows: list[KVRow], width: int, value: float) -> torch.Tensor:
    """Write one value at `width` new positions of each row, and return all keys seen."""
    kv.prepare(rows, width, CPU)
    block = torch.full((len(rows), 1, width, 2), value)
    return kv.update(block, block, 0)[0]


@settings(deadline=None, derandomize=True)
@given(STEPS)
def test_any_order_of_opening_writing_and_closing(steps) -> None:
    kv = RaggedKV(num_layers=1, max_rows=4)
    content: dict[int, tuple[KVRow, list[float]]] = {}
    for number, (kind, which, width) in enumerate(steps):
        rows = list(content)
        if kind == "open" and len(content) < 4:
            content[number] = (kv.open(), [])
        elif kind == "close" and content:
            row, _ = content.pop(rows[which % len(rows)])
            kv.close(row)
        elif kind == "write" and content:
            chosen = [content[name] for name in rows[which % len(rows) :]]
            seen = written(kv, [row for row, _ in chosen], width, float(number))
            for of_row, (row, values) in zip(seen, chosen, strict=True):
                values.extend([float(number)] * width)
                row.length += width
                assert of_row[0, : row.length, 0].tolist() == values
        kv.check_integrity()
    for row, values in content.values():
        kv.prepare([row], 0, CPU)
        if values:
            assert kv.layers[0].keys[row.index, 0, : row.length, 0].tolist() == values


def test_not_advancing_is_rolling_back() -> None:
    kv = RaggedKV(num_layers=1, max_rows=1)
    row = kv.open()
    written(kv, [row], 3, 1.0)
    row.length = 1
    assert written(kv, [row], 1, 2.0)[0, 0, :, 0].tolist() == [1.0, 2.0]
