"""A model's forward whose inputs stand on the device: rows in buckets, keys and values in blocks.

The host only says where rows lie, once for several forwards: a draft's steps follow each other without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from specsched.engine.gpu.graphs import Batch, Graphs, Uncaptured
from specsched.engine.kv import KVRow
from specsched.engine.kv.blocks import BlockKV
from specsched.engine.model import LanguageModel

MOST_WIDTH = 17
"""Widest forward that is captured, in new tokens a row: a verification of γ = 16. Wider ones are prompts."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Where rows lie, on the device, padded to a bucket of rows and of blocks."""

    starts: Tensor  # [bucket]
    table: Tensor  # [bucket, blocks]

    def ahead(self, tokens: int) -> "Lines":
        """Return the same rows, so many tokens on."""
        return Lines(self.starts + tokens, self.table)


class StaticForward:
    """Runs one model through `Graphs`. Writes keys and values but lengthens no row."""

    def __init__(self, model: LanguageModel, graphs: Graphs) -> None:
        """Take a model over blocks.

        Args:
            model: Its storage is blocks.
            graphs: Its own; run by nobody else.
        """
        assert isinstance(model.kv, BlockKV), "static forwards need keys and values in blocks"
        self.model = model
        self._kv = model.kv
        self._graphs = graphs
        self._wide = Uncaptured()
        self._layout = self._kv.layout

    def place(self, rows: Sequence[KVRow], more: Sequence[int]) -> Lines:
        """Make room for more[i] tokens in rows[i], and tell the device where they go."""
        packed = self._kv.lines(rows, more, bucket(len(rows)), self.model.device)  # [bucket, 1 + blocks]
        return Lines(packed[:, 0], packed[:, 1:])

    @torch.inference_mode()
    def __call__(self, lines: Lines, ids: Tensor, counts: Tensor) -> Tensor:
        """Run new tokens of each row.

        Args:
            lines: Of b rows.
            ids: [b, q], on the device.
            counts: [b], how many of them are each row's own, on the device. What lies beyond goes where nobody reads.

        Returns:
            Float logits [b, q, V], valid until the model's next forward.
        """
        missing = len(lines.starts) - len(ids)
        batch = Batch(pad(ids, (0, 0, 0, missing)), pad(counts, (0, missing)), lines.starts, lines.table)
        if self._layout != self._kv.layout:  # captured forwards know where the storage was
            self._graphs.forget()
            self._layout = self._kv.layout
        graphs = self._graphs if ids.shape[1] <= MOST_WIDTH else self._wide
        return graphs.run(batch, self._work)[: len(ids)]

    def _work(self, batch: Batch) -> Tensor:
        window = self._kv.follow(batch.starts, batch.table, batch.counts, batch.ids.shape[1])
        return self.model.run(batch.ids, window)


def bucket(count: int) -> int:
    """Return the next power of two."""
    return 1 << (count - 1).bit_length()


def padded(tokens: Sequence[Sequence[int]], width: int) -> list[list[int]]:
    """Fill rows on the right."""
    return [[*row, *([0] * (width - len(row)))] for row in tokens]
