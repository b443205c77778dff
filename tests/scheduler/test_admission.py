"""Room in requests and tokens, and a time to come back."""

import pytest

from specsched.errors import Overloaded
from specsched.scheduler.admission import Admission


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_room_is_counted_in_requests_and_tokens():
    admission = Admission(2, 100)
    with admission.room(60):
        with pytest.raises(Overloaded), admission.room(60):
            pass
        with admission.room(40), pytest.raises(Overloaded), admission.room(1):
            pass
        assert (admission.requests, admission.tokens) == (1, 60)
    assert (admission.requests, admission.tokens) == (0, 0)


def test_a_request_larger_than_all_room_runs_alone():
    admission = Admission(2, 100)
    with admission.room(500):
        assert admission.requests == 1


def test_the_time_to_come_back_follows_the_rate_of_late():
    clock = Clock()
    admission = Admission(8, 100, clock)
    for _ in range(5):
        with admission.room(50):
            clock.now += 1.0  # 50 tokens a second
    with admission.room(90), pytest.raises(Overloaded) as caught, admission.room(60):
        pass
    assert 0.5 <= caught.value.retry_after_seconds <= 2.0
