"""Whether what the target computes are numbers: NaN or infinite logits would be drawn from as if they were a law."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from specsched.engine.peaks import best_logits


class UnsoundTarget(RuntimeError):
    """The target computed no numbers: of a prompt that leads it there, or of damaged weights. Ends the worker."""


def sound_rows(logits: Tensor, counts: Sequence[int]) -> list[bool]:
    """Whether every position of a row has a finite best logit.

    NaN and +inf carry through a maximum; single logits of -inf are how models rule tokens out.

    Args:
        logits: [B, W, V]
        counts: Each row's own positions; those beyond hold rubbish.
    """
    finite = np.isfinite(best_logits(logits))  # [B, W]
    if finite.all():
        return [True] * len(finite)
    return [bool(of_row[:count].all()) for of_row, count in zip(finite, counts, strict=True)]
