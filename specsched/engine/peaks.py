"""The best logit of every position.

On a CPU it is NumPy that looks: its arg max over a vocabulary is vectorised, torch's takes ten times as long.
"""

from math import isfinite

import numpy as np
import torch
from torch import Tensor

from specsched.engine.transfer import to_host


def best_tokens(logits: Tensor) -> Tensor:
    """Return the token of the best logit, the first of equal ones, without waiting for a device, [..., V] → [...]."""
    if logits.device.type == "cpu":
        return torch.from_numpy(np.asarray(logits.numpy().argmax(-1)))
    return logits.argmax(-1)


class Peaks:
    """The best token of every position, and whether there is one."""

    def __init__(self, logits: Tensor) -> None:
        """Look at logits, [B, W, V]."""
        self._width = logits.shape[1]
        if logits.device.type == "cpu":
            packed = logits.numpy().reshape(-1, logits.shape[2])
            self._tokens: list[int] = packed.argmax(-1).tolist()
            self._logits: list[float] = [packed.item(i, token) for i, token in enumerate(self._tokens)]
        else:
            best = logits.flatten(0, 1).max(-1)
            self._tokens, self._logits = to_host(best.indices).tolist(), to_host(best.values).tolist()

    def tokens(self, row: int, count: int) -> list[int]:
        """Return the tokens of a row's first `count` positions."""
        return self._tokens[row * self._width : row * self._width + count]

    def sound(self, row: int, count: int) -> bool:
        """Whether the best logits of a row's first `count` positions are finite.

        NaN and +inf carry through a maximum, and through a sum; single logits of -inf are how models rule tokens out.
        """
        return isfinite(sum(self._logits[row * self._width : row * self._width + count]))
