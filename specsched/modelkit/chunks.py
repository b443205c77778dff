"""A loss over many positions without their logits in memory at once: head and softmax by chunks that fit a cache."""

from collections.abc import Callable

from torch import Tensor

_ROWS = 128


def backward_by_chunks(hidden: Tensor, mean_loss: Callable[[Tensor, slice], Tensor]) -> float:
    """Leave the gradients of a mean loss in all that went into it; returns the loss.

    Args:
        hidden: Hidden states, [N, D], with their graph.
        mean_loss: (rows of `hidden`, which ones) → their mean loss.
    """
    leaf = hidden.detach().requires_grad_()
    total = 0.0
    for start in range(0, len(hidden), _ROWS):
        rows = leaf[start : start + _ROWS]
        loss = mean_loss(rows, slice(start, start + _ROWS)) * (len(rows) / len(hidden))
        loss.backward()
        total += float(loss.detach())
    hidden.backward(leaf.grad)
    return total
