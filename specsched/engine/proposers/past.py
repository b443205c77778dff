"""A completion that is over, for drafts to be held against that did not write it (POLICY.md, "Counterfactuals")."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from specsched.engine.draw import coupled_choices
from specsched.engine.law import History, Span, shape_logits
from specsched.engine.row import Row
from specsched.policy.beliefs import Array


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model makes of each of a completion's tokens, given all before it."""

    weights: Array
    """w of `policy.counterfactual`, [L]."""
    peaks: Array
    """Largest probabilities of its laws, [L]."""


class Past:
    """What hindsight may go over of one row, and what was read of it so far."""

    def __init__(self, row: Row, depth: int) -> None:
        """Take a row, before it ends, and the largest lookahead."""
        self.row = row
        self.depth = depth
        self.begin = len(row.tokens) - row.retraceable
        """Place of the first token that is gone over."""
        self._readings: dict[str, Reading] = {}

    @property
    def begins(self) -> range:
        """Places that rounds of full depth may begin at."""
        return range(self.begin, len(self.row.tokens) - self.depth + 1)

    def reading(self, weights: str, logits: Iterable[Tensor]) -> Reading:
        """Read once with what may be several drafts' weights.

        Args:
            weights: Their name.
            logits: Raw ones before each token that is gone over, [n, V] a stretch; computed as they are asked for.
        """
        found = self._readings.get(weights)
        if found is None:
            parts, done = [np.empty((2, 0))], 0
            for stretch in logits:
                parts.append(self._weighed(stretch, done))
                done += len(stretch)
            found = self._readings[weights] = Reading(*np.concatenate(parts, axis=1))
        return found

    def _weighed(self, logits: Tensor, first: int) -> Array:
        """Weights and peaks from the `first` token on, [2, n], of laws that are shaped as the rounds' were."""
        row, place = self.row, self.begin + first
        came = row.tokens[place : place + len(logits)]
        before = replace(row.job, generated_ids=tuple(row.tokens[len(row.job.prompt_ids) : place]))
        history = History(before, row.stop_ids, logits.shape[-1], logits.device)
        shaped = shape_logits(logits, [Span(row.job.sampling, history, len(came), came[:-1])])
        masses = shaped.logsumexp(-1)
        peaks = (shaped.amax(-1) - masses).exp().tolist()
        if row.job.sampling.coupled:
            spots = [row.spot(place + i - len(row.tokens)) for i in range(len(came))]
            return np.array([np.equal(coupled_choices(shaped, spots), came), peaks])
        q = (shaped[range(len(came)), came] - masses).exp().tolist()
        return np.array([np.minimum(1.0, np.divide(q, row.chances[first : first + len(came)])), peaks])
