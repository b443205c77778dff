"""The guard bounds the loss against plain decoding, and lets speculation come back."""

from hypothesis import given
from hypothesis import strategies as st

from specsched.policy.guard import Guard
from specsched.policy.settings import PolicySettings

SETTINGS = PolicySettings()


@given(st.lists(st.tuples(st.integers(1, 8), st.floats(1.0, 4.0), st.floats(0, 1)), min_size=1, max_size=300))
def test_whatever_acceptance_brings_the_time_stays_within_the_bound(rounds):
    guard, plain_time, time = Guard(SETTINGS), 0.0, 0.0
    for rows, slowness, luck in rounds:
        slow = slowness if guard.allows(rows, slowness) else 1.0
        tokens = rows if slow == 1.0 else rows + int(luck * 5 * rows)
        guard.settle(rows, tokens, slow)
        plain_time += tokens  # times of rows: every row waits for the whole round
        time += rows * slow
        assert (1 - SETTINGS.slowdown) * time <= plain_time + SETTINGS.guard_start_tokens


def test_plain_rounds_earn_the_next_try():
    guard = Guard(SETTINGS)
    while guard.allows(1, 2.0):
        guard.settle(1, 1, 2.0)
    waited = 0
    while not guard.allows(1, 2.0):
        guard.settle(1, 1, 1.0)
        waited += 1
    assert 0 < waited <= 60


def test_credit_is_capped():
    guard = Guard(SETTINGS)
    for _ in range(2000):
        guard.settle(1, 5, 1.0)
    assert guard.credit == SETTINGS.guard_cap_tokens


def test_a_round_may_cost_what_credit_and_its_certain_tokens_cover():
    guard, keep = Guard(SETTINGS), 1 - SETTINGS.slowdown
    for credit in (0.0, 1.0):
        guard.inherit(credit)
        most = (credit + 2) / (2 * keep)
        assert guard.allows(2, 0.999 * most)
        assert not guard.allows(2, 1.001 * most)


def test_a_stall_is_not_held_against_speculation_for_hours():
    guard = Guard(SETTINGS)
    guard.settle(1, 1, 10_000.0)
    assert guard.credit == -SETTINGS.guard_start_tokens


def test_inherited_credit_is_kept_within_bounds():
    guard = Guard(SETTINGS)
    for credit, kept in ((-1e6, -SETTINGS.guard_start_tokens), (1e6, SETTINGS.guard_cap_tokens), (0.5, 0.5)):
        guard.inherit(credit)
        assert guard.credit == kept
