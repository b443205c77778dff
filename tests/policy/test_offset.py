"""A request's own ease: how far its rounds move it, and what they say about other drafts."""

import numpy as np
import pytest

from specsched.policy.offset import RequestHazards
from specsched.policy.settings import PolicySettings
from specsched.records import Beta, Candidate, RoundRecord

SETTINGS = PolicySettings()


def hazards(strength=1000.0, other=1000.0, covariance=((), ())):
    def candidate(name, total, shared):
        return Candidate(name, (Beta(0.5 * total, 0.5 * total),) * 4, shared)

    return RequestHazards((candidate("d", strength, covariance[0]), candidate("e", other, covariance[1])), SETTINGS)


def observe(request, accepted, times=10, draft="d"):
    for _ in range(times):
        request.observe(RoundRecord(draft, 4, accepted, 1, 0.1, 0.1, planned_gamma=4))


def test_an_easy_request_has_longer_rounds_ahead():
    request = hazards()
    before = request.tokens("d")
    observe(request, 4)
    assert request.tokens("d")[4] > before[4] + 0.5
    assert request.tokens("d")[0] == before[0] == 1.0


def test_a_round_moves_the_offset_by_its_surprise_over_what_is_known():
    request = hazards(strength=1e9)
    observe(request, 4, times=1)  # 4 of 2 expected, information 1, on a variance of a half
    assert request.offset("d") == pytest.approx(2.0 / (1.0 + 1 / SETTINGS.request_variance))


def test_many_rounds_find_a_request_that_is_far_from_what_was_believed():
    request, random = hazards(strength=1e9), np.random.default_rng(0)
    hazard = 1 / (1 + np.exp(-1.2))
    for _ in range(400):
        misses = np.flatnonzero(random.random(4) > hazard)
        observe(request, int(misses[0]) if len(misses) else 4, times=1)
    assert request.offset("d") == pytest.approx(1.2, abs=0.2)


def test_a_surprise_about_a_known_draft_is_the_request_s_about_a_vague_one_the_belief_s():
    known, vague = hazards(strength=1000.0), hazards(strength=3.0)
    for request in (known, vague):
        observe(request, 4, times=3)
    assert known.offset("e") > 2 * vague.offset("e") > 0


def test_a_vague_belief_yields_sooner():
    known, vague = hazards(strength=1000.0), hazards(strength=3.0)
    for request in (known, vague):
        observe(request, 0, times=2)
    assert vague.offset("d") < known.offset("d") < 0


def test_a_draft_that_is_no_candidate_teaches_nothing():
    request = hazards()
    request.observe(RoundRecord("other", 4, 4, 1, 0.1, 0.1, planned_gamma=4))
    assert request.offset("d") == 0.0


def test_where_the_class_is_doubtful_one_draft_s_failure_is_another_s_promise():
    apart = hazards(covariance=((1.0, -0.9), (-0.9, 1.0)))  # where one is good the other is not
    observe(apart, 0)
    assert apart.offset("d") < 0 < apart.offset("e")


def test_rounds_of_two_drafts_come_to_the_same_in_any_order():
    covariance = ((1.0, 0.4), (0.4, 2.0))
    one, other = hazards(covariance=covariance), hazards(covariance=covariance)
    observe(one, 3, 1, "d"), observe(one, 1, 1, "e")
    observe(other, 1, 1, "e"), observe(other, 3, 1, "d")
    assert [one.offset(d) for d in "de"] == pytest.approx([other.offset(d) for d in "de"], abs=0.1)
