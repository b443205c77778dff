"""What admission is bounded by: the service's own limits, and what its workers hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from specsched.records import WorkerInfo


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator sets."""

    max_requests: int = 256
    """Admitted and not yet complete: being read, waiting and running."""
    max_outstanding_tokens: int = 131_072
    """Prompt and completion tokens that those may still come to. One request alone may exceed it."""
    tenant_weights: Mapping[str, float] = field(default_factory=dict)
    """Share of a tenant under contention; 1 for those that are not named."""
    priority_seconds: float = 5.0
    """Waiting time that one point of priority is worth."""

    def weight(self, tenant: str) -> float:
        """Return a tenant's weight."""
        return self.tenant_weights.get(tenant, 1.0)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the workers take at once. What is beyond it waits here, where fairness lives."""

    rows: int
    tokens: int
    """Of KV. One request alone may exceed it."""


def capacity_of(workers: Sequence[WorkerInfo]) -> Capacity:
    """Return what workers take: their rows, and one more each, so that none idles until it is called."""
    rows = sum(worker.max_rows + 1 for worker in workers)
    return Capacity(rows, sum(worker.kv_capacity_tokens for worker in workers))
