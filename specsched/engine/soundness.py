"""Whether what the target computes are numbers: NaN or infinite logits would be drawn from as if they were a law."""

import torch
from torch import Tensor


class UnsoundTarget(RuntimeError):
    """The target computed no numbers: of a prompt that leads it there, or of damaged weights. Ends the worker."""


def is_sound(logits: Tensor) -> bool:
    """Whether every position has a finite best logit.

    NaN and +inf carry through a maximum; single logits of -inf are how models rule tokens out.

    Args:
        logits: [N, V]
    """
    return bool(torch.isfinite(logits.amax(-1)).all())
