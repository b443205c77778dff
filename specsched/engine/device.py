"""Where models compute, and how their KV lies there."""

from collections.abc import Callable

import torch

from specsched.engine.kv import RaggedKV
from specsched.engine.kv.blocks import BlockKV
from specsched.engine.kv.rectangles import RectangularKV
from specsched.errors import PoolError

AUTO = "auto"

MakeKV = Callable[[int, int], RaggedKV]
"""(layers, rows) → an empty storage."""

STORAGES: dict[str, MakeKV] = {"rectangles": RectangularKV, "blocks": BlockKV}


def choose_device(name: str) -> torch.device:
    """Return the device of that name; `auto` is a GPU where there is one.

    Raises:
        PoolError: no such device is here.
    """
    if name == AUTO:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch raises either, by how it was built
        raise PoolError(f"workers.device: {name!r} is not here: {str(error).splitlines()[0]}") from error


def choose_storage(name: str, device: torch.device, rounds: str = AUTO) -> MakeKV:
    """Return the storage of that name; `auto` is rectangles where views are free, on a CPU with rounds on the host."""
    if name == AUTO:
        name = "rectangles" if device.type == "cpu" and rounds in {AUTO, "host"} else "blocks"
    return STORAGES[name]
