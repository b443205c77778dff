"""Drawing tokens where the logits are: no number leaves the device.

A law is drawn from by an exponential race instead of by inverting its cumulative sum: with E_v independent Exp(1),
arg max p_v / E_v has the law p. The noise is keyed by position as everywhere (`noise`); `draw` uses other bits of it,
so the two give other tokens of the same law.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from specsched.engine.noise import Keys, Purpose
from specsched.engine.row import Row
from specsched.engine.transfer import to_device


def race(weights: Tensor, keys: Keys, purpose: Purpose) -> Tensor:
    """Draw one token from each row of unnormalised weights; a token of weight 0 is never drawn.

    Args:
        weights: [..., V]
        keys: Of places [...].
        purpose: What the noise is for.

    Returns:
        Tokens, [...].
    """
    return (weights.double() / keys.exponential(purpose, weights.shape[-1])).argmax(-1)


@dataclass(frozen=True, slots=True)
class Cast:
    """Rows of a batch that are drawn alike, sorted on the host once for all positions of a round."""

    coupled: bool
    """Whether they take the target's own choice; else they follow rejection sampling."""
    rows: Sequence[Row]
    members: Sequence[int]
    """Their numbers in the batch."""
    keys: Keys
    """Of each row's next position, [b]."""
    greedy: Tensor  # bool [b]
    noiseless: bool
    """Whether all are greedy."""
    index: Tensor | None
    """The members on the device; None where they are the whole batch."""

    def of(self, batch: Tensor) -> Tensor:
        """Pick the members' entries, [B, …] → [b, …]."""
        return batch if self.index is None else batch[self.index]

    def put(self, batch: Tensor, values: Tensor) -> None:
        """Write the members' entries, [b, …] into [B, …]."""
        if self.index is None:
            batch.copy_(values)
        else:
            batch.index_copy_(0, self.index, values)

    def choose(self, shaped: Tensor, keys: Keys) -> Tensor:
        """Return arg max(log p + g), g the Gumbel noise of each place and 0 when greedy (arXiv 2408.07978).

        Args:
            shaped: Logits of the laws, [b, …, V].
            keys: Of places [b, …].
        """
        if self.noiseless:
            return shaped.argmax(-1)
        noise = -torch.log(keys.exponential(Purpose.GUMBEL, shaped.shape[-1]))
        silent = self.greedy.view(-1, *[1] * (shaped.dim() - 1))
        return (shaped + noise.masked_fill_(silent, 0.0)).argmax(-1)


def casts(rows: Sequence[Row], device: torch.device) -> Iterator[Cast]:
    """Sort a batch into the rows that are coupled and those that are not; empty casts are left out."""
    for kind in (True, False):
        members = [i for i, row in enumerate(rows) if row.job.sampling.coupled is kind]
        if members:
            own = [rows[i] for i in members]
            greedy = [row.job.sampling.greedy for row in own]
            yield Cast(
                coupled=kind,
                rows=own,
                members=members,
                keys=Keys.of([row.job.noise_seed for row in own], [row.position for row in own], device),
                greedy=to_device(greedy, device),
                noiseless=all(greedy),
                index=to_device(members, device) if len(own) < len(rows) else None,
            )
