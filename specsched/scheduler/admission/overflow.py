"""Who gives way when the queue is full: the newest of those that hold more of it than the newcomer would."""

from collections.abc import Callable

from specsched.scheduler.admission.fair_queue import FairQueue, Ticket


def giving_way(
    queue: FairQueue,
    weight: Callable[[str], float],
    tenant: str,
    size: Callable[[Ticket], int],
    wanted: int,
    excess: int,
) -> list[Ticket] | None:
    """Return the tickets that make room for a newcomer, or None where it has to go itself.

    A tenant gives way only as far as it still holds, by weight, no less than the newcomer's (the longest queue gives
    way: Suter et al. 1998, "Design considerations for supporting TCP with per-flow queueing").

    Args:
        queue: Of those that wait.
        weight: Of a tenant.
        tenant: Of the newcomer.
        size: What a ticket takes of the thing that is short.
        wanted: What the newcomer takes of it.
        excess: What has to become free.
    """
    left = {flow.tenant: list(flow.waiting) for flow in queue.backlogged()}
    held = {name: sum(map(size, tickets)) for name, tickets in left.items()}
    least = (held.get(tenant, 0) + wanted) / weight(tenant)
    chosen: list[Ticket] = []
    while excess > 0:
        name = max(left, key=lambda each: held[each] / weight(each), default=tenant)
        if name == tenant or (held[name] - size(left[name][-1])) / weight(name) < least:
            return None
        chosen.append(left[name].pop())
        held[name] -= size(chosen[-1])
        excess -= size(chosen[-1])
    return chosen
