"""Admission: bounded in requests and tokens, fair between tenants, with a time to come back for those it refuses."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from specsched.errors import Overloaded
from specsched.records import MAX_PRIORITY, Request
from specsched.scheduler.admission.drain_rate import DrainRate
from specsched.scheduler.admission.fair_queue import FairQueue, Ticket
from specsched.scheduler.admission.limits import Capacity, Limits
from specsched.scheduler.admission.overflow import giving_way
from specsched.scheduler.admission.place import Place, Stage
from specsched.scheduler.admission.quotas import Quotas


class Admission:
    """Gives each request a place, and calls those that wait as the workers have room. Belongs to one event loop."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        """Others may take their place at any time; requests that have a place keep it."""
        self._clock = clock
        self._capacity: Capacity | None = None
        self._queue = FairQueue(self._weight)
        self._quotas = Quotas(clock)
        self._drain = DrainRate(clock())
        self._numbers = count()
        self.requests = 0
        """That have a place."""
        self.tokens = 0
        """That those which wait and run may come to."""
        self.running = 0
        self._running_tokens = 0

    @property
    def waiting(self) -> int:
        """Requests that wait to be called."""
        return len(self._queue)

    def resize(self, capacity: Capacity) -> None:
        """Say what the workers take at once; without a word they take everything."""
        if capacity != self._capacity:
            self._capacity = capacity
            self._call()

    @contextmanager
    def enter(self, request: Request) -> Iterator[Place]:
        """Hold a place for a request until it is complete. It costs nothing to be refused here.

        Raises:
            Overloaded: there is none.
            QuotaExceeded: the caller has as many as it may have.
        """
        self._quotas.enter(request.caller)
        try:
            self._make_room(request.tenant, lambda _ticket: 1, 1, self.requests + 1 - self.limits.max_requests)
        except Overloaded:
            self._quotas.leave(request.caller)
            raise
        priority = max(-MAX_PRIORITY, min(MAX_PRIORITY, request.priority))
        rank = self._clock() - priority * self.limits.priority_seconds
        place = Place(request.tenant, rank, next(self._numbers), queue_up=self._queue_up, caller=request.caller)
        self.requests += 1
        try:
            yield place
        finally:
            self._quotas.refund(place.caller, place.tokens - place.used)
            self._quotas.leave(place.caller)
            self._release(place)
            self._call()

    def _weight(self, tenant: str) -> float:
        """By the limits of the moment."""
        return self.limits.weight(tenant)

    def _queue_up(self, place: Place, tokens: int) -> None:
        self._quotas.charge(place.caller, tokens)
        place.tokens = tokens  # from here on its end gives them back
        excess = self.tokens + tokens - self.limits.max_outstanding_tokens if self.tokens else 0
        try:
            self._make_room(place.tenant, lambda ticket: ticket.tokens, tokens, excess)
        except Overloaded:
            self._release(place)
            self._call()
            raise
        place.stage = Stage.WAITING
        self.tokens += tokens
        self._queue.push(place)
        self._call()

    def _call(self) -> None:
        """Call whoever is next while the workers have room; the next one waits for it, however much it needs."""
        self._drain.advance(self._clock(), busy=self.running > 0)
        while (first := self._queue.first()) is not None and self._fits(first):
            assert isinstance(first, Place), "only places wait here"
            self._queue.serve(first)
            first.stage = Stage.RUNNING
            self.running += 1
            self._running_tokens += first.tokens
            first.called.set()

    def _fits(self, ticket: Ticket) -> bool:
        if self._capacity is None or not self.running:
            return True
        rows, tokens = self._capacity.rows, self._capacity.tokens
        return self.running < rows and self._running_tokens + ticket.tokens <= tokens

    def _release(self, place: Place) -> None:
        """Take back what a place holds; once."""
        stage, place.stage = place.stage, Stage.GONE
        if stage is Stage.GONE:
            return
        self.requests -= 1
        if stage is Stage.WAITING:
            self.tokens -= place.tokens
            self._queue.withdraw(place)
        if stage is Stage.RUNNING:
            self.tokens -= place.tokens
            self._drain.advance(self._clock(), busy=True)
            self._drain.released(place.tokens)
            self._queue.refund(place.tenant, place.tokens - place.used)
            self.running -= 1
            self._running_tokens -= place.tokens

    def _make_room(self, tenant: str, size: Callable[[Ticket], int], wanted: int, excess: int) -> None:
        """Have others give way, where they hold more than their share; raises Overloaded where nobody does."""
        victims = giving_way(self._queue, self.limits.weight, tenant, size, wanted, excess)
        if victims is None:
            raise self._overloaded(tenant, excess)
        for victim in victims:
            assert isinstance(victim, Place), "only places wait here"
            victim.refusal = self._overloaded(victim.tenant)
            self._release(victim)
            victim.called.set()
        if victims:
            self._call()

    def _overloaded(self, tenant: str, tokens: int = 0) -> Overloaded:
        others = sum(self.limits.weight(flow.tenant) for flow in self._queue.backlogged() if flow.tenant != tenant)
        weight = self.limits.weight(tenant)
        self._drain.advance(self._clock(), busy=self.running > 0)
        wait = self._drain.seconds(tokens, weight / (weight + others))
        return Overloaded(f"{self.requests} requests hold {self.tokens} tokens; no room now", wait)
