"""Batches of lessons, the same for the same seed and step."""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch

from specsched.modelkit.traces import TaughtTrace


def batches_from(step: int, taught: Sequence[TaughtTrace], tokens: int, seed: int) -> Iterator[list[TaughtTrace]]:
    """Batches of like lengths with about `tokens` padded tokens, for ever; each epoch shuffles anew.

    Args:
        step: Batches to leave out: drawn before.
        taught: Lessons.
        tokens: Of a batch.
        seed: Of the order.
    """
    return islice(_endless(taught, tokens, torch.Generator().manual_seed(seed)), step, None)


def _endless(taught: Sequence[TaughtTrace], tokens: int, generator: torch.Generator) -> Iterator[list[TaughtTrace]]:
    lengths = torch.tensor([float(len(one.trace.ids)) for one in taught])
    while True:
        nearly = lengths * (1 + 0.1 * torch.rand(len(taught), generator=generator))
        order = torch.argsort(nearly, descending=True).tolist()
        batches = []
        while order:
            rows = max(1, tokens // len(taught[order[0]].trace.ids))
            batches.append([taught[i] for i in order[:rows]])
            order = order[rows:]
        for i in torch.randperm(len(batches), generator=generator).tolist():
            yield batches[i]
