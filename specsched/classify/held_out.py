"""Sources held out in turn: what a classifier is worth on prompts from elsewhere, and how sure it may be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from specsched.classify.table import Fit, Floats, Rows, Table


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Some rows of a table, and their logits (N, K) by a fit that saw none of their sources."""

    table: Table
    logits: Floats

    def loss(self, temperature: float) -> float:
        """Mean cross-entropy in nats; sources and classes count as in training."""
        laws = log_softmax(self.logits / temperature, axis=1)
        return -float(np.average(laws[np.arange(len(self.logits)), self.table.labels], weights=self.table.weights))


def hold_out(table: Table, groups: Sequence[Sequence[str]], judged: Rows, seed: int) -> Iterator[HeldOut]:
    """Hold out each group of sources in turn; of its rows only the `judged` are looked at.

    A class that no other source has cannot be learnt without this one: such rows are left out.
    """
    for group in groups:
        held = np.isin(table.sources, group)
        rest = table[~held]
        rows = held & judged & np.isin(table.labels, rest.labels)
        if rows.any():
            unseen = table[rows]
            yield HeldOut(unseen, Fit.to(rest, seed).logits(unseen.features))


def temperature(held_out: Sequence[HeldOut]) -> float:
    """The softmax temperature under which held-out sources, all alike, are likeliest (arXiv 1706.04599)."""

    def loss(log_temperature: float) -> float:
        return sum(held.loss(float(np.exp(log_temperature))) for held in held_out)

    return float(np.exp(minimize_scalar(loss, bounds=(-2.0, 4.0), method="bounded").x))


def sources_of(table: Table, judged: Rows) -> list[str]:
    """The sources of the judged rows, in order."""
    return sorted(set(table.sources[judged].tolist()))
