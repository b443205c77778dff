"""Forwards over buffers that never move, one set per shape: what a CUDA graph can be captured from and replayed on.

`Replayed` decides what is captured and when; `CudaCapture` captures, and `BufferedCapture` does all but that, on any
device: stale buffers, wrong buckets and outputs that are used too late fail on a CPU as they would on a GPU.
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


class Replay(Protocol):
    """A forward that was captured: fill its inputs, call it, and its output is there."""

    @property
    def inputs(self) -> Batch:
        """Its buffers."""
        ...

    @property
    def output(self) -> Tensor:
        """Its own, too."""
        ...

    def __call__(self) -> None:
        """Run it again."""
        ...


class Capture(Protocol):
    """Captures forwards of one model."""

    def __call__(self, inputs: Batch, work: Work) -> Replay:
        """Capture `work` on these buffers. It may run it several times: it writes the same to the same places.

        Raises:
            RuntimeError: it cannot be captured.
        """
        ...

    def wait(self) -> None:
        """Wait until nothing runs that was captured."""
        ...


class Replayed:
    """Captures every shape when it is first met, and replays it from then on.

    A capture proves itself: where its first replay is not what the plain forward gave, or it fails, the shape runs
    uncaptured, and that is logged.
    """

    def __init__(self, name: str, capture: Capture) -> None:
        """Take the model's name, for the log, and what captures."""
        self._name = name
        self._capture = capture
        self._replays: dict[tuple[int, int, int], Replay] = {}
        self._refused: set[tuple[int, int, int]] = set()

    def run(self, batch: Batch, work: Work) -> Tensor:
        """Replay the shape on these inputs."""
        replay = self._replays.get(batch.shape)
        if replay is None:
            return self._first(batch, work)
        replay.inputs.take(batch)
        replay()
        return replay.output

    def forget(self) -> None:
        """Drop what was captured, when the device is done with it."""
        self._capture.wait()
        self._replays.clear()

    def _first(self, batch: Batch, work: Work) -> Tensor:
        expected = work(batch)
        if batch.shape in self._refused or len(self._replays) >= MOST_GRAPHS:
            return expected
        try:
            replay = self._capture(batch.copy(), work)
            replay()
            difference, largest = to_host(_distance(replay.output, expected)).tolist()
        except RuntimeError as error:  # a forward that reads from the host, or no memory left
            return self._refuse(batch, expected, str(error).splitlines()[0])
        if not difference <= TOLERANCE * largest:
            return self._refuse(batch, expected, f"its replay differs by {difference:.3g}")
        self._replays[batch.shape] = replay
        return replay.output

    def _refuse(self, batch: Batch, expected: Tensor, reason: str) -> Tensor:
        self._refused.add(batch.shape)
        log.warning("forward_not_captured", model=self._name, shape=batch.shape, reason=reason)
        return expected


@dataclass(frozen=True, slots=True)
class _Recomputed:
    inputs: Batch
    output: Tensor
    work: Work
    spoil: Callable[[Tensor], None]

    def __call__(self) -> None:
        self.spoil(self.output)
        self.output.copy_(self.work(self.inputs))


class BufferedCapture:
    """Captures nothing: a replay computes anew, from the same buffers into the same output.

    Each replay spoils the output of the one before, as graphs that share memory may.
    """

    def __init__(self) -> None:
        self._last = torch.zeros(0)

    def __call__(self, inputs: Batch, work: Work) -> Replay:
        """Make the buffers."""
        return _Recomputed(inputs, work(inputs).clone(), work, self._spoil)

    def wait(self) -> None:
        """Nothing runs."""

    def _spoil(self, following: Tensor) -> None:
        self._last.fill_(torch.nan)
        self._last = following


@dataclass(frozen=True, slots=True)
class _Graph:
    inputs: Batch
    output: Tensor
    graph: torch.cuda.CUDAGraph

    def __call__(self) -> None:
        self.graph.replay()


class CudaCapture:
    """Captures CUDA graphs. All of a model share a memory pool and are replayed one after the other.

    Other threads may allocate meanwhile: drafts load in the background.
    """

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream()

    def __call__(self, inputs: Batch, work: Work) -> Replay:
        """Run `work` on a stream of its own until nothing new is compiled or allocated, then capture it."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UPS):
                work(inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            output = work(inputs)
        return _Graph(inputs, output, graph)

    def wait(self) -> None:
        """Wait for the device."""
        torch.cuda.synchronize()


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """Return the largest difference of two tensors and the largest magnitude, infinite logits left out, [2]."""
    finite = torch.isfinite(other)
    difference = torch.where(finite, one - other, 0.0).abs().amax()
    return torch.stack((difference, torch.where(finite, other, 0.0).abs().amax()))
