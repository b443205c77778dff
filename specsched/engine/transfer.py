"""The border between host and device: what crosses it, and what waits for it.

On a GPU the host runs ahead of the device. A copy to the device waits for nobody when its source is pinned; a read
waits until all work queued before it is done. So everything that the host reads goes through `to_host`, which counts:
a round may read once (ENGINE.md, "Speed on a GPU").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(slots=True)
class Reads:
    """How often the host waited for a device, in this process."""

    count: int = 0


READS = Reads()


def to_device(values: Sequence[Any], device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Copy numbers to the device without waiting for it.

    Each call has a pinned source of its own: the allocator hands it out again only when the copy is done.
    """
    tensor = torch.tensor(values, dtype=dtype)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def to_host(tensor: Tensor) -> Tensor:
    """Wait for a tensor and return it on the host."""
    READS.count += 1
    return tensor.cpu()
