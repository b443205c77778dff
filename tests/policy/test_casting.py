"""One draft for a whole batch, or several where that pays although they run one after the other."""

from specsched.policy.base import RowView
from specsched.policy.casting import Casting
from specsched.policy.controller import AdaptiveController
from specsched.policy.cost import CostModel, TrackedCosts
from specsched.policy.member import Member
from specsched.policy.settings import PolicySettings
from specsched.records import NO_DRAFT, Beta, Candidate, Plan
from tests.policy.grids import grid

SETTINGS = PolicySettings()
NAMES = "abcdefgh"


def plan(draft, **hazards):
    candidates = tuple(Candidate(name, (Beta(100 * h, 100 * (1 - h)),) * 8) for name, h in hazards.items())
    return Plan(draft, 4, 8, pinned=False, candidates=candidates)


def cast(*plans, step=0.2, left=200):
    """Every row is due once, in turn; returns who serves whom."""
    members = [Member.of(each, SETTINGS, sampled=False) for each in plans]
    rows = [RowView(name, 100, left) for name, _ in zip(NAMES, members, strict=False)]
    costs = TrackedCosts(CostModel(grid(step=step, drafts=("good", "bad", "other"))))
    for place in range(len(members)):
        Casting(members, rows, costs, SETTINGS, left * len(rows)).improve([place])
    return [member.draft for member in members]


def test_rows_that_differ_a_little_share_the_draft_that_suits_most():
    liking = [plan("good", good=0.8, bad=0.75)] * 3 + [plan("bad", good=0.77, bad=0.8)]
    assert cast(*liking) == ["good"] * 4


def test_rows_that_differ_much_have_drafts_of_their_own_where_those_cost_little():
    liking = [plan("good", good=0.9, bad=0.1), plan("bad", good=0.1, bad=0.9)] * 2
    assert cast(*liking, step=0.01) == ["good", "bad", "good", "bad"]


def test_all_change_together_where_no_single_change_would_pay():
    """Moving one row alone leaves the others' draft to be paid for; moving all saves it."""
    assert cast(*[plan("bad", good=0.85, bad=0.5)] * 4) == ["good"] * 4


def test_a_row_that_does_not_know_the_others_draft_decodes_plainly_beside_it():
    rows = [plan("good", good=0.8)] * 4 + [plan("bad", bad=0.2)]
    assert cast(*rows) == ["good"] * 4 + [NO_DRAFT]


def test_a_lone_row_begins_with_what_its_plan_wants_to_try():
    controller = AdaptiveController(SETTINGS, grid(), seed=0)
    controller.begin("a", plan("bad", good=0.8, bad=0.7), sampled=False)
    assert controller.choose([RowView("a", 100, 200)])[0].draft_model == "bad"


def test_a_row_that_joins_others_takes_their_draft():
    controller = AdaptiveController(PolicySettings(guard_start_tokens=100), grid(), seed=0)
    names = NAMES[:4]
    for name in names:
        controller.begin(name, plan("bad" if name == "d" else "good", good=0.8, bad=0.78), sampled=False)
    arms = controller.choose([RowView(name, 100, 200) for name in names])
    assert {arm.draft_model for arm in arms} == {"good"}
