"""Room in requests and tokens, shares between tenants, and a time to come back."""

import asyncio
import random
from contextlib import ExitStack
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specsched.errors import Overloaded, QuotaExceeded
from specsched.records import ANYBODY, Quota, Request, TokenPrompt
from specsched.scheduler.admission.admission import Admission
from specsched.scheduler.admission.limits import Capacity, Limits
from specsched.scheduler.admission.place import Stage


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Guest:
    """A request that came in; ask, then leave."""

    def __init__(self, admission, tenant="", priority=0, caller=ANYBODY):
        self.held = ExitStack()
        request = Request("r", TokenPrompt((1,)), tenant=tenant, priority=priority, caller=caller)
        self.place = self.held.enter_context(admission.enter(request))

    def ask(self, tokens):
        self.place.queue_up(self.place, tokens)
        return self

    def leave(self, used=None):
        self.place.used = self.place.tokens if used is None else used
        self.held.close()

    @property
    def running(self):
        return self.place.stage is Stage.RUNNING


def admission_of(max_requests=100, max_tokens=10_000, rows=1, clock=None, **limits):
    admission = Admission(Limits(max_requests, max_tokens, **limits), clock or Clock())
    admission.resize(Capacity(rows, 1_000_000))
    return admission


def empty(admission):
    return (admission.requests, admission.tokens, admission.running, admission.waiting) == (0, 0, 0, 0)


def test_room_is_counted_in_requests_and_tokens():
    admission = admission_of(2, 100, rows=2)
    a = Guest(admission).ask(60)
    b = Guest(admission)
    with pytest.raises(Overloaded):
        Guest(admission)
    with pytest.raises(Overloaded):
        b.ask(60)
    b.leave()
    c = Guest(admission).ask(40)
    assert (admission.requests, admission.tokens, admission.running) == (2, 100, 2)
    a.leave()
    c.leave()
    assert empty(admission)


def test_a_request_larger_than_all_room_runs_alone():
    admission = admission_of(2, 100)
    admission.resize(Capacity(4, 50))
    guest = Guest(admission).ask(500)
    assert guest.running
    guest.leave()
    assert empty(admission)


def test_the_time_to_come_back_follows_the_rate_of_late():
    clock = Clock()
    admission = admission_of(8, 100, clock=clock)
    for _ in range(5):
        guest = Guest(admission).ask(50)
        clock.now += 1.0  # 50 tokens a second
        guest.leave()
        clock.now += 100.0  # idle time says nothing about the rate
    held = Guest(admission).ask(90)
    with pytest.raises(Overloaded) as caught:
        Guest(admission).ask(60)
    assert 0.5 <= caught.value.retry_after_seconds <= 2.0
    held.leave()


def test_rows_beyond_the_workers_wait_here_and_are_called_in_turn():
    admission = admission_of(rows=2)
    guests = [Guest(admission).ask(10) for _ in range(4)]
    assert [guest.running for guest in guests] == [True, True, False, False]
    guests[1].leave()
    assert [guest.running for guest in guests] == [True, False, True, False]
    admission.resize(Capacity(3, 1_000_000))
    assert guests[3].running


def test_a_large_one_is_not_starved_by_small_ones_that_would_fit():
    admission = admission_of()
    admission.resize(Capacity(10, 100))
    small, large, later = Guest(admission).ask(50), Guest(admission).ask(80), Guest(admission).ask(10)
    assert [large.running, later.running] == [False, False]
    small.leave()
    assert [large.running, later.running] == [True, True]


def test_priority_is_a_head_start_and_waiting_outweighs_it():
    clock = Clock()
    admission = admission_of(clock=clock, priority_seconds=5.0)
    running = Guest(admission).ask(1)
    low = Guest(admission, priority=0).ask(1)
    clock.now = 14.0
    high = Guest(admission, priority=3).ask(1)
    clock.now = 16.0
    late = Guest(admission, priority=3).ask(1)
    beyond = Guest(admission, priority=2**31 - 1).ask(1)
    order = []
    for _ in range(4):
        running.leave()
        running = next(guest for guest in (low, high, late, beyond) if guest.running)
        order.append(running)
    assert order == [beyond, high, low, late]


def test_a_tenant_that_floods_gives_way_to_one_that_does_not():
    admission = admission_of(max_requests=10)
    flood = [Guest(admission, "flood").ask(10) for _ in range(10)]
    with pytest.raises(Overloaded):
        Guest(admission, "flood")
    calm = Guest(admission, "calm").ask(10)
    assert flood[9].place.refusal is not None
    flood[9].leave(0)
    assert admission.requests == 10
    flood[0].leave()
    assert flood[1].running  # it is as far in virtual time, and older
    flood[1].leave()
    assert calm.running


def test_nobody_gives_way_below_the_newcomers_own_share():
    admission = admission_of(max_requests=3)
    guests = [Guest(admission, name).ask(10) for name in ("a", "b", "c")]
    with pytest.raises(Overloaded):
        Guest(admission, "d")
    assert [guest.place.refusal for guest in guests] == [None] * 3


def test_quotas_bound_requests_and_tokens_and_say_when_to_come_back():
    clock = Clock()
    admission = admission_of(clock=clock, rows=9)
    caller = replace(ANYBODY, name="c", quota=Quota(2, 60.0, 600.0))
    first = Guest(admission, caller=caller).ask(500)
    second = Guest(admission, caller=caller)
    with pytest.raises(QuotaExceeded) as tokens:
        second.ask(200)
    assert tokens.value.retry_after_seconds == pytest.approx(10.0)
    with pytest.raises(QuotaExceeded):
        Guest(admission, caller=caller)
    first.leave(used=100)  # 400 come back
    second.leave()
    third = Guest(admission, caller=caller).ask(200)
    third.leave()
    for _ in range(57):
        Guest(admission, caller=caller).leave()
    with pytest.raises(QuotaExceeded) as rate:
        Guest(admission, caller=caller)
    assert rate.value.retry_after_seconds == pytest.approx(1.0)
    assert empty(admission)


async def test_a_wait_ends_with_its_turn_an_abort_or_its_time():
    admission, aborted = admission_of(), asyncio.Event()
    running, late, ended, next_ = Guest(admission).ask(1), Guest(admission), Guest(admission), Guest(admission)
    assert await late.place.turn(1, aborted, 0.01) is False
    late.leave(0)
    waits = asyncio.create_task(ended.place.turn(1, aborted, None))
    called = asyncio.create_task(next_.place.turn(1, asyncio.Event(), None))
    await asyncio.sleep(0)
    aborted.set()
    assert await waits is False
    ended.leave(0)
    running.leave()
    assert await called is True


async def test_who_gives_way_while_it_waits_is_told_when_to_come_back():
    admission = admission_of(max_requests=3)
    guests = [Guest(admission, "flood").ask(10), Guest(admission, "flood").ask(10), Guest(admission, "flood")]
    newest = asyncio.create_task(guests[2].place.turn(10, asyncio.Event(), None))
    await asyncio.sleep(0)
    guests.append(Guest(admission, "calm"))
    with pytest.raises(Overloaded) as caught:
        await newest
    assert caught.value.retry_after_seconds > 0


@given(st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_whatever_comes_and_goes_nothing_leaks_and_nobody_starves(seed, rows):
    rng, clock = random.Random(seed), Clock()
    admission = admission_of(40, 2_000, rows=rows, clock=clock, priority_seconds=1.0)
    guests = []
    for step in range(300):
        clock.now += rng.random()
        if rng.random() < 0.6:
            tenant = rng.choice(("a", "b", f"new-{step}"))
            try:
                guest = Guest(admission, tenant, rng.randint(-10, 10))
            except Overloaded:
                pass
            else:
                guests.append(guest)
                if rng.random() < 0.9:
                    try:
                        guest.ask(rng.randint(1, 200))
                    except Overloaded:
                        guest.leave(0)
                        guests.remove(guest)
        for guest in [g for g in guests if g.place.refusal or rng.random() < 0.3 * g.running or rng.random() < 0.02]:
            guest.leave(rng.randint(0, guest.place.tokens))
            guests.remove(guest)
        stages = [guest.place.stage for guest in guests]
        assert admission.running == stages.count(Stage.RUNNING)
        assert admission.waiting == stages.count(Stage.WAITING)
        assert admission.running <= rows
        assert admission.requests <= 40
        assert admission.running == rows or not admission.waiting
    for _ in range(len(guests) + 1):
        for guest in [g for g in guests if g.running or g.place.stage is Stage.READING]:
            guest.leave()
            guests.remove(guest)
    assert guests == []
    assert empty(admission)
    assert not admission._queue._flows


@given(st.integers(0, 2**32), st.tuples(st.floats(0.2, 5.0), st.floats(0.2, 5.0)))
@settings(max_examples=40, deadline=None)
def test_under_contention_tokens_are_shared_by_weight(seed, weights):
    rng = random.Random(seed)
    shares = dict(zip("ab", weights, strict=True))
    admission = admission_of(10_000, 10**9, tenant_weights=shares)
    waiting = {name: [Guest(admission, name).ask(rng.randint(1, 100)) for _ in range(3)] for name in shares}
    served = dict.fromkeys(shares, 0)
    for _ in range(600):
        name, guest = next((n, g) for n in shares for g in waiting[n] if g.running)
        waiting[name].remove(guest)
        waiting[name].append(Guest(admission, name).ask(rng.randint(1, 100)))
        served[name] += guest.place.tokens
        guest.leave()
    # Each may be ahead by a few requests of the largest size, by weight (start-time fairness bound).
    assert abs(served["a"] / shares["a"] - served["b"] / shares["b"]) <= 300 / shares["a"] + 300 / shares["b"]


def test_one_that_waits_is_reached_however_many_new_tenants_come():
    admission = admission_of(1000, 10**6)
    running = Guest(admission, "first").ask(10)
    spender = [Guest(admission, "spender").ask(10) for _ in range(5)]
    crowd = [Guest(admission, "x-0").ask(10), Guest(admission, "x-1").ask(10)]
    for served in range(1, 100):
        running.leave()
        running = next(guest for guest in (*spender, *crowd) if guest.running)
        (spender if running in spender else crowd).remove(running)
        crowd.append(Guest(admission, f"x-{served + 1}").ask(10))
        if not spender:
            break
    assert not spender
    assert len(admission._queue._flows) < 20
