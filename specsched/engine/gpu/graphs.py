"""Forwards over buffers that never move, one set per shape: what a CUDA graph can be captured from and replayed on.

`Buffered` does all of that but the capturing, on any device: stale buffers, wrong buckets and outputs that are used
too late fail on a CPU as they would on a GPU.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Protocol

import structlog
import torch
from torch import Tensor

from specsched.engine.transfer import to_host

log = structlog.get_logger()

WARM_UPS = 2
"""Runs before a capture: kernels are chosen and compiled, memory is allocated."""
MOST_GRAPHS = 256
"""Shapes beyond run uncaptured."""
TOLERANCE = 1e-2
"""Of the largest logit, by which a replay may differ from the run it was captured from."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs of one forward, padded to a bucket's shape; all int64, all on the device."""

    ids: Tensor  # [B, q]
    counts: Tensor
    """[B], new tokens that are each row's own; 0 for rows that take no part."""
    starts: Tensor  # [B]
    table: Tensor  # [B, blocks]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, width and blocks."""
        return (*self.ids.shape, self.table.shape[1])

    def copy(self) -> "Batch":
        """Return buffers of this shape that hold the same."""
        return Batch(*(getattr(self, each.name).clone() for each in fields(self)))

    def take(self, other: "Batch") -> None:
        """Overwrite the buffers."""
        for each in fields(self):
            getattr(self, each.name).copy_(getattr(other, each.name))


Work = Callable[[Batch], Tensor]
"""A forward that reads its inputs from one batch and takes nothing from the host: the same kernels every time."""


class Graphs(Protocol):
    """Runs forwards. What it returns is valid until its next run: outputs share memory."""

    def run(self, batch: Batch, work: Work) -> Tensor:
        """Run `work` on these inputs."""
        ...

    def forget(self) -> None:
        """Drop all that was captured: something that it reads or writes has moved."""
        ...


class Uncaptured:
    """No buffers at all: the plain forward."""

    def run(self, batch: Batch, work: Work) -> Tensor:
        """Run it."""
        return work(batch)

    def forget(self) -> None:
        """Nothing was kept."""


@dataclass(frozen=True, slots=True)
class _Slot:
    inputs: Batch
    output: Tensor


class Buffered:
    """Buffers as for a capture, and no capture. Each run spoils the output of the one before, as a shared pool may."""

    def __init__(self) -> None:
        self._slots: dict[tuple[int, int, int], _Slot] = {}
        self._last = torch.zeros(0)

    def run(self, batch: Batch, work: Work) -> Tensor:
        """Run it on the shape's buffers."""
        self._last.fill_(torch.nan)
        slot = self._slots.get(batch.shape)
        if slot is None:
            inputs = batch.copy()
            self._slots[batch.shape] = slot = _Slot(inputs, work(inputs).clone())
        else:
            slot.inputs.take(batch)
            slot.output.copy_(work(slot.inputs))
        self._last = slot.output
        return slot.output

    def forget(self) -> None:
        """Drop the buffers."""
        self._slots.clear()


@dataclass(frozen=True, slots=True)
class _Captured:
    inputs: Batch
    output: Tensor
    graph: torch.cuda.CUDAGraph


class CudaGraphs:
    """Captures every shape when it is first met, and replays it from then on.

    All graphs of a model share a memory pool and are replayed on one stream, one after the other. A capture proves
    itself: where its first replay is not what it was captured from, or it fails, the shape runs uncaptured and that is
    logged. Other threads may allocate meanwhile (drafts load in the background).
    """

    def __init__(self, name: str) -> None:
        """Take the model's name, for the log."""
        self._name = name
        self._captured: dict[tuple[int, int, int], _Captured] = {}
        self._refused: set[tuple[int, int, int]] = set()
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream()

    def run(self, batch: Batch, work: Work) -> Tensor:
        """Replay the shape's graph on these inputs."""
        captured = self._captured.get(batch.shape)
        if captured is None:
            return self._first(batch, work)
        captured.inputs.take(batch)
        captured.graph.replay()
        return captured.output

    def forget(self) -> None:
        """Drop the graphs, when the device is done with them."""
        torch.cuda.synchronize()
        self._captured.clear()

    def _first(self, batch: Batch, work: Work) -> Tensor:
        expected = work(batch)
        if batch.shape in self._refused or len(self._captured) >= MOST_GRAPHS:
            return expected
        try:
            captured = self._capture(batch.copy(), work)
            captured.graph.replay()
            difference, largest = to_host(_distance(captured.output, expected)).tolist()
        except RuntimeError as error:  # a forward that reads from the host, or no memory left
            self._refuse(batch, str(error).splitlines()[0])
            return expected
        if not difference <= TOLERANCE * largest:
            self._refuse(batch, f"its replay differs by {difference:.3g}")
            return expected
        self._captured[batch.shape] = captured
        return captured.output

    def _capture(self, inputs: Batch, work: Work) -> _Captured:
        """Capture `work`. It writes the same keys and values to the same places each time, so repeating it is safe."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UPS):
                work(inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            output = work(inputs)
        return _Captured(inputs, output, graph)

    def _refuse(self, batch: Batch, reason: str) -> None:
        self._refused.add(batch.shape)
        log.warning("forward_not_captured", model=self._name, shape=batch.shape, reason=reason)


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """Return the largest difference of two tensors and the largest magnitude, infinite logits left out, [2]."""
    finite = torch.isfinite(other)
    difference = torch.where(finite, one - other, 0.0).abs().amax()
    return torch.stack((difference, torch.where(finite, other, 0.0).abs().amax()))
