"""When a call is tried again, and how long the pause before is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specsched.client.retries import NO_RETRIES, Retries, Tries
from specsched.errors import Overloaded, Unavailable


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def tries(retries, timeout=None, *, chance=0.0):
    clock = Clock()
    return Tries(retries, timeout, clock=clock, chance=lambda: chance), clock


def test_pauses_double_and_end_with_the_last_call():
    made, _ = tries(Retries(calls=3, first_seconds=0.5))
    made.left()
    assert made.pause(Overloaded("full", 0.0)) == 0.5
    made.left()
    assert made.pause(Overloaded("full", 0.0)) == 1.0
    made.left()
    with pytest.raises(Overloaded):
        made.pause(Overloaded("full", 0.0))


def test_the_server_s_word_goes_before():
    made, _ = tries(Retries(first_seconds=0.1), chance=0.5)
    made.left()
    assert made.pause(Unavailable("draining", 2.0)) == pytest.approx(2.0 * 1.1)


def test_a_server_that_asks_for_too_much_is_not_called_again():
    made, _ = tries(Retries(longest_seconds=5.0))
    made.left()
    with pytest.raises(Unavailable):
        made.pause(Unavailable("for long", 60.0))


def test_without_retries_the_first_error_stands():
    made, _ = tries(NO_RETRIES)
    made.left()
    with pytest.raises(Overloaded):
        made.pause(Overloaded("full", 0.0))


@given(st.lists(st.floats(0, 10), max_size=6), st.floats(0.1, 10))
def test_no_pause_reaches_beyond_the_deadline(waits, timeout):
    made, clock = tries(Retries(calls=10, longest_seconds=20.0), timeout)
    for wait in waits:
        left = made.left()
        assert left == pytest.approx(timeout - clock.now)
        try:
            pause = made.pause(Overloaded("full", wait))
        except Overloaded:
            return
        assert pause >= wait
        clock.now += pause
        assert clock.now < timeout
