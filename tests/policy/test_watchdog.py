"""Rounds that cost more than predicted halve the lookahead, and ask for a new profile."""

from specsched.policy.settings import PolicySettings
from specsched.policy.watchdog import Watchdog


def feed(watchdog, ratio, rounds=200):
    for _ in range(rounds):
        watchdog.observe(ratio, 1.0)


def test_it_halves_and_doubles_again():
    watchdog = Watchdog(PolicySettings(max_gamma=8))
    feed(watchdog, 1.1)
    assert (watchdog.max_gamma, watchdog.profile_wanted) == (8, False)
    feed(watchdog, 1.3)
    assert (watchdog.max_gamma, watchdog.profile_wanted) == (4, True)
    for _ in range(5):
        feed(watchdog, 1.3)
    assert watchdog.max_gamma == 1
    feed(watchdog, 1.0)
    assert (watchdog.max_gamma, watchdog.profile_wanted) == (2, False)


def test_a_few_spikes_are_no_reason():
    watchdog = Watchdog(PolicySettings(max_gamma=8))
    for number in range(200):
        watchdog.observe(500.0 if number % 40 == 0 else 1.0, 1.0)
    assert watchdog.max_gamma == 8


def test_rounds_that_a_busy_machine_stretches_are_no_reason():
    watchdog = Watchdog(PolicySettings(max_gamma=8))
    for number in range(200):
        watchdog.observe(3.0 if number % 5 < 2 else 1.0, 1.0)
    assert (watchdog.max_gamma, watchdog.profile_wanted) == (8, False)
