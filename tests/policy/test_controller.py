"""Inside a worker: γ follows the request, the batch and the clock, within the plan."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specsched.policy.base import Arm, RowView
from specsched.policy.controller import AdaptiveController, PlannedController
from specsched.policy.settings import PolicySettings
from specsched.records import NO_DRAFT, Beta, Candidate, Plan, RoundRecord
from tests.policy.grids import grid


def plan(hazard=0.7, draft="good", gamma=3, max_gamma=8, others=(), **fields):
    candidates = tuple(
        Candidate(name, (Beta(20 * h, 20 * (1 - h)),) * 8) for name, h in ((draft, hazard), *others) if name != NO_DRAFT
    )
    return Plan(draft, gamma, max_gamma, pinned=False, candidates=candidates, **fields)


def view(name="a", context=100, remaining=100):
    return RowView(name, context, remaining)


def play(controller, rows, truth, random, costs=(1.0, 0.05, 0.2)):
    """Run one round whose drafts accept by `truth`; returns the arms."""
    arms = controller.choose(rows)
    width = max(arm.gamma for arm in arms)
    verify = costs[0] + costs[1] * (len(rows) * (width + 1) - 1)
    deepest = {draft: max(a.gamma for a in arms if a.draft_model == draft) for draft in {a.draft_model for a in arms}}
    for row, arm in zip(rows, arms, strict=True):
        accepted = int(np.cumprod(random.random(arm.gamma) < truth.get(arm.draft_model, 0.0)).sum())
        propose = costs[2] * deepest[arm.draft_model]
        record = RoundRecord(arm.draft_model, arm.gamma, accepted, len(rows), propose, verify, planned_gamma=arm.gamma)
        controller.observe(row.request_id, record)
    return arms


def controller(**fields):
    return AdaptiveController(PolicySettings(**fields), grid(), seed=0)


def test_the_planned_controller_plays_the_plan():
    planned = PlannedController()
    planned.begin("a", Plan("good", 3, 3), sampled=False)
    assert planned.choose([view()]) == [Arm("good", 3)]
    planned.end("a")
    planned.end("a")


def test_a_caller_s_pin_is_left_alone():
    pinned = controller()
    pinned.begin("a", Plan("good", 5, 5, pinned=True), sampled=False)
    random = np.random.default_rng(0)
    assert {play(pinned, [view()], {"good": 0.0}, random)[0] for _ in range(50)} == {Arm("good", 5)}


def test_a_request_that_accepts_nothing_soon_decodes_plainly():
    adaptive, random = controller(), np.random.default_rng(0)
    adaptive.begin("a", plan(0.7), sampled=False)
    arms = [play(adaptive, [view()], {"good": 0.05}, random)[0] for _ in range(120)]
    assert arms[0].gamma > 0
    assert np.mean([arm.gamma for arm in arms[-30:]]) < 1.2


def test_an_easy_request_looks_further_ahead_than_its_class():
    adaptive, random = controller(), np.random.default_rng(0)
    adaptive.begin("a", plan(0.6), sampled=False)
    first = adaptive.choose([view()])[0].gamma
    arms = [play(adaptive, [view()], {"good": 0.98}, random)[0] for _ in range(60)]
    assert arms[-1].gamma > first


def test_a_plan_that_starts_plain_can_come_back():
    adaptive, random = controller(), np.random.default_rng(0)
    adaptive.begin("a", plan(0.9, draft=NO_DRAFT, gamma=0, others=(("good", 0.9),)), sampled=False)
    arms = [play(adaptive, [view()], {"good": 0.9}, random)[0] for _ in range(30)]
    assert any(arm.draft_model == "good" and arm.gamma > 0 for arm in arms)


def test_a_request_changes_to_the_draft_that_suits_it():
    adaptive, random = controller(), np.random.default_rng(0)
    adaptive.begin("a", plan(0.6, draft="bad", others=(("good", 0.8),)), sampled=False)
    truth = {"bad": 0.5, "good": 0.9}
    arms = [play(adaptive, [view(remaining=400)], truth, random)[0] for _ in range(200)]
    assert arms[0].draft_model == "bad"
    assert arms[-1].draft_model == "good"


@pytest.mark.parametrize(("tokens", "changes"), [(10, False), (400, True)])
def test_no_draft_takes_a_text_in_for_what_completions_seldom_bring(tokens, changes):
    """A caller allows 400 tokens in any case."""
    costs = grid()
    dear = tuple(replace(draft, prefill_seconds_per_token=0.1) for draft in costs.drafts)
    adaptive = AdaptiveController(PolicySettings(guard_start_tokens=1e6), replace(costs, drafts=dear), seed=0)
    random, plain = np.random.default_rng(0), plan(0.0, draft=NO_DRAFT, gamma=0)
    for number in range(100):
        adaptive.begin(str(number), plain, sampled=False)
        for left in range(400, 400 - tokens, -1):
            play(adaptive, [view(str(number), remaining=left)], {}, random)
        adaptive.end(str(number))
    adaptive.begin("a", plan(0.6, draft="bad", others=(("good", 0.8),)), sampled=False)
    arms = [play(adaptive, [view("a", remaining=400)], {"bad": 0.5, "good": 0.9}, random)[0] for _ in range(9)]
    assert any(arm.draft_model == "good" for arm in arms) == changes


def test_no_gamma_beyond_what_the_row_can_still_take():
    adaptive = controller()
    adaptive.begin("a", plan(0.95), sampled=False)
    assert adaptive.choose([view(remaining=2)])[0].gamma <= 1
    assert adaptive.choose([view(remaining=1)])[0] == Arm(NO_DRAFT, 0)


def test_rows_share_one_bound_and_keep_their_own_limits():
    adaptive = controller()
    adaptive.begin("a", plan(0.95), sampled=False)
    adaptive.begin("b", plan(0.95, max_gamma=2, gamma=2), sampled=False)
    adaptive.begin("c", Plan(pinned=True), sampled=False)
    a, b, c = adaptive.choose([view("a"), view("b"), view("c")])
    assert a.gamma >= b.gamma
    assert b.gamma <= 2
    assert c == Arm(NO_DRAFT, 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.99), st.floats(0, 1), st.integers(1, 4))
def test_never_slower_than_plain_decoding_by_more_than_the_guard_allows(seed, believed, truth, rows):
    adaptive, random = controller(), np.random.default_rng(seed)
    views = [view(str(i)) for i in range(rows)]
    for each in views:
        adaptive.begin(each.request_id, plan(believed), sampled=False)
    for _ in range(60):
        play(adaptive, views, {"good": truth}, random)
        assert adaptive.credits[""] >= -1e-9  # the clock is the grid's own: no round goes beyond its prediction


@pytest.mark.parametrize("gone", ["a", "b"])
def test_rows_come_and_go(gone):
    adaptive, random = controller(), np.random.default_rng(0)
    for name in ("a", "b"):
        adaptive.begin(name, plan(0.8), sampled=False)
    play(adaptive, [view("a"), view("b")], {"good": 0.8}, random)
    adaptive.end(gone)
    left = "a" if gone == "b" else "b"
    assert len(play(adaptive, [view(left)], {"good": 0.8}, random)) == 1


def test_other_settings_go_on_with_the_credit_and_the_costs_of_those_before():
    before, random = controller(), np.random.default_rng(0)
    before.begin("a", plan(), sampled=False)
    for _ in range(40):
        play(before, [view()], {"good": 0.9}, random)
    after = AdaptiveController(PolicySettings(guard_cap_tokens=before.credits[""] - 1), grid(), 0)
    after.inherit(before)
    assert after.credits[""] == before.credits[""] - 1
    assert after.costs is before.costs
    after.inherit(PlannedController())
    assert after.credits[""] == before.credits[""] - 1


def test_costs_that_were_measured_anew_take_the_place_of_the_tracked_ones():
    adaptive, random = controller(watchdog_rounds=20), np.random.default_rng(0)
    adaptive.begin("a", plan(0.9), sampled=False)
    for number in range(20):  # a machine that slows down faster than any average follows it
        play(adaptive, [view()], {"good": 0.9}, random, costs=(1.2**number, 0.05, 0.2))
    assert adaptive.profile_wanted
    adaptive.reprice(grid(slope=0.5))
    assert not adaptive.profile_wanted
    assert adaptive.costs.verifying(1, 4, 64) == pytest.approx(3.0)


def test_a_draft_that_was_disabled_in_a_round_is_not_taken_for_free():
    tried = controller()
    tried.begin("a", plan(), sampled=False)
    play(tried, [view()], {"good": 0.9}, np.random.default_rng(0))  # the first round takes in the prompt
    (arm,) = tried.choose([view()])
    assert arm.draft_model == "good"
    before = tried.costs.drafting("good", 1, 3, 100)
    tried.observe("a", RoundRecord(NO_DRAFT, 0, 0, 1, 0.0, 1.0))
    assert tried.costs.drafting("good", 1, 3, 100) == before
