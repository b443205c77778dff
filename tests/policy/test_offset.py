"""A request's own ease: how far its rounds move it, and what they say about other drafts."""

from specsched.policy.offset import RequestHazards
from specsched.policy.settings import PolicySettings
from specsched.records import Beta, RoundRecord


def hazards(strength=1000.0, other=1000.0):
    def beliefs(total):
        return (Beta(0.5 * total, 0.5 * total),) * 4

    return RequestHazards({"d": beliefs(strength), "e": beliefs(other)}, PolicySettings())


def observe(request, accepted, times=10):
    for _ in range(times):
        request.observe(RoundRecord("d", 4, accepted, 1, 0.1, 0.1, planned_gamma=4))


def test_an_easy_request_has_longer_rounds_ahead():
    request = hazards()
    before = request.tokens("d")
    observe(request, 4)
    assert request.tokens("d")[4] > before[4] + 0.5
    assert request.tokens("d")[0] == before[0] == 1.0


def test_the_offset_is_one_newton_step_and_clipped():
    request = hazards(strength=1e9)
    observe(request, 4, times=1)
    assert abs(request.offset("d") - 2.0 / (1.0 + 2.0)) < 1e-6
    observe(request, 4, times=100)
    assert request.offset("d") == PolicySettings().offset_limit


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
