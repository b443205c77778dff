"""Rounds that cost more than predicted halve the lookahead, and ask for a new profile."""

from specsched.policy.controller import AdaptiveController
from specsched.policy.settings import PolicySettings
from specsched.policy.watchdog import Watchdog
from specsched.records import Beta, Candidate, Plan, RoundRecord
from tests.policy.grids import grid
from tests.policy.rounds import views


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


def test_what_a_draft_takes_in_at_first_is_not_charged_to_the_guard():
    kept = []
    for first in (0.8, 80.0):
        controller = AdaptiveController(PolicySettings(), grid(), seed=0)
        plan = Plan("good", 4, 8, pinned=False, candidates=(Candidate("good", (Beta(14, 6),) * 8),))
        controller.begin("a", plan, sampled=False)
        [arm] = controller.choose(views("a"))
        assert arm.gamma > 0
        controller.observe("a", RoundRecord("good", arm.gamma, 0, 1, first, 1.2, planned_gamma=arm.gamma))
        kept.append(controller.credit)
    assert kept[0] == kept[1]
