"""How long a worker may keep silent before it counts as hung."""

from dataclasses import dataclass

from specsched.records import CostGrid

_FACTOR = 20.0
"""A machine that others use as well is several times slower than its profile, now and then."""
_LONGEST_GAMMA = 64


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of silence: gRPC's, below any row; of rows that make no round; of an address, which is only told of."""

    keepalive_seconds: float = 10.0
    """A connection that is silent so long is asked for a sign of life, and given as long again to answer."""
    round_seconds: float = 30.0
    """Least time for a round, however quick the worker's profile says it is."""
    outage_seconds: float = 10.0
    """An address that answers nobody for so long is told of: one that is started here takes its time."""

    def round_limit(self, costs: CostGrid, unread_tokens: int) -> float:
        """Return the time within which some row must say something.

        Args:
            costs: The worker's own profile.
            unread_tokens: Prompts that it may have to take in first.
        """
        return max(self.round_seconds, _FACTOR * (_slowest_round(costs) + unread_tokens * _seconds_per_token(costs)))


def _slowest_round(costs: CostGrid) -> float:
    """Verification at its slowest measured point, after the slowest draft at its longest."""
    verify = max((point.seconds for point in costs.verify), default=0.0)
    drafts = (
        draft.overhead_seconds + _LONGEST_GAMMA * max((step.seconds for step in draft.steps), default=0.0)
        for draft in costs.drafts
    )
    return verify + max(drafts, default=0.0)


def _seconds_per_token(costs: CostGrid) -> float:
    """Of a prompt: target and all drafts take it in, the target by the widest forward that was measured."""
    widest = max(costs.verify, key=lambda point: point.positions, default=None)
    target = widest.seconds / widest.positions if widest is not None and widest.positions else 0.0
    return target + sum(draft.prefill_seconds_per_token for draft in costs.drafts)
