"""Who is next: weighted fairness between tenants, age and priority within one. Knows no time and no event loop."""

from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Ticket:
    """A place in the queue."""

    tenant: str
    rank: float
    """Lower is sooner among the tickets of its tenant."""
    number: int
    """Order of arrival, for equal ranks."""
    tokens: int = 0

    @property
    def order(self) -> tuple[float, int]:
        """What its tenant's tickets are sorted by."""
        return self.rank, self.number


@dataclass(eq=False, slots=True)
class Flow:
    """One tenant's tickets, and how far its service has come in virtual time."""

    tenant: str
    waiting: list[Ticket] = field(default_factory=list)
    start: float = 0.0
    """Virtual time at which its next ticket may be served."""
    tokens: int = 0
    """Of the waiting tickets."""


class FairQueue:
    """Serves the tenant whose virtual start is least, and of its tickets the one of least rank.

    A ticket costs its tokens by its tenant's weight in virtual time, which itself advances with what is served as in
    WF²Q+ (Bennett & Zhang 1997): so a tenant that waits is reached however many new ones keep coming, and one that
    comes back is owed nothing for the time that it was away.
    """

    def __init__(self, weight: Callable[[str], float]) -> None:
        self._weight = weight
        self._flows: dict[str, Flow] = {}
        self._now = 0.0
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    @property
    def tokens(self) -> int:
        """Of all tickets that wait."""
        return sum(flow.tokens for flow in self._flows.values())

    def backlogged(self) -> Iterator[Flow]:
        """Tenants with tickets that wait."""
        return (flow for flow in self._flows.values() if flow.waiting)

    def push(self, ticket: Ticket) -> None:
        """Let a ticket wait."""
        flow = self._flows.setdefault(ticket.tenant, Flow(ticket.tenant))
        if not flow.waiting:
            flow.start = max(flow.start, self._now)
        insort(flow.waiting, ticket, key=_order)
        flow.tokens += ticket.tokens
        self._waiting += 1

    def first(self) -> Ticket | None:
        """Return who is next, without serving."""
        flow = min(self.backlogged(), key=lambda each: (each.start, each.waiting[0].order), default=None)
        return None if flow is None else flow.waiting[0]

    def serve(self, ticket: Ticket) -> None:
        """Take out the ticket that is next, and charge its tenant."""
        flow = self._flows[ticket.tenant]
        weights = sum(self._weight(each.tenant) for each in self.backlogged())
        flow.start += ticket.tokens / self._weight(ticket.tenant)
        self._take_out(flow, ticket)
        least = min((each.start for each in self.backlogged()), default=0.0)
        self._now = max(self._now + ticket.tokens / weights, least)
        self._tidy()

    def withdraw(self, ticket: Ticket) -> None:
        """Take out a ticket that is not served."""
        self._take_out(self._flows[ticket.tenant], ticket)
        self._tidy()

    def refund(self, tenant: str, tokens: int) -> None:
        """Give back what a served ticket was charged and did not use."""
        if (flow := self._flows.get(tenant)) is not None:
            flow.start -= tokens / self._weight(tenant)

    def _take_out(self, flow: Flow, ticket: Ticket) -> None:
        flow.waiting.remove(ticket)
        flow.tokens -= ticket.tokens
        self._waiting -= 1

    def _tidy(self) -> None:
        """Forget tenants whose past no longer matters: all of them once nobody waits."""
        if not self._waiting:
            self._flows.clear()
            self._now = 0.0
            return
        past = [each.tenant for each in self._flows.values() if not each.waiting and each.start <= self._now]
        for tenant in past:
            del self._flows[tenant]


def _order(ticket: Ticket) -> tuple[float, int]:
    return ticket.order
