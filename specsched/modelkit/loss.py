"""Next-token loss without the whole logits in memory: head and softmax by chunks that fit a cache."""

from typing import Any

import torch
from torch import Tensor

_CHUNK = 256


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of `hidden @ head.T`; both gradients are computed on the way forward."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:  # [N, D], [V, D], [N]
        count = len(targets)
        weights = head.to(hidden.dtype)
        d_hidden, d_head = torch.empty_like(hidden), torch.zeros_like(head)
        total = hidden.new_zeros((), dtype=torch.float32)
        for start in range(0, count, _CHUNK):
            rows = hidden[start : start + _CHUNK]
            labels = targets[start : start + _CHUNK, None]
            logits = (rows @ weights.T).float()  # [n, V]
            total += torch.nn.functional.cross_entropy(logits, labels[:, 0], reduction="sum")
            error = logits.softmax(-1)
            error.scatter_add_(1, labels, -torch.ones_like(labels, dtype=error.dtype))
            error = (error / count).to(hidden.dtype)
            d_hidden[start : start + _CHUNK] = error @ weights
            d_head += error.T @ rows
        ctx.save_for_backward(d_hidden, d_head)
        return total / count

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        d_hidden, d_head = ctx.saved_tensors
        return d_hidden * grads[0], d_head * grads[0], None


def next_token_loss(hidden: Tensor, head: Tensor, ids: Tensor) -> Tensor:
    """Mean loss (nats) of each window's next tokens.

    Args:
        hidden: Last hidden states, [B, T, D].
        head: Output embedding, [V, D].
        ids: The windows, [B, T].
    """
    predicted = hidden[:, :-1].reshape(-1, hidden.shape[-1])
    return _ChunkedCrossEntropy.apply(predicted, head, ids[:, 1:].reshape(-1))  # type: ignore[no-any-return, no-untyped-call]
