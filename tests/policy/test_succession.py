"""Two settings in force at a time: every row keeps the controller that it began with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specsched.policy.base import Arm, RowView
from specsched.policy.succession import Succession
from specsched.records import Plan, RoundRecord


class Noting:
    """Plays its settings' length as γ; notes what it is told and whom it inherited from."""

    def __init__(self, settings):
        self.settings = settings
        self.rows, self.seen = set(), []
        self.heir_of = None

    def begin(self, request_id, plan, *, sampled):
        assert plan.round_settings == self.settings
        self.rows.add(request_id)

    def choose(self, rows):
        assert {row.request_id for row in rows} <= self.rows
        return [Arm("draft", len(self.settings)) for _ in rows]

    def observe(self, request_id, round_record):
        assert request_id in self.rows
        self.seen.append(round_record)

    def end(self, request_id):
        self.rows.remove(request_id)

    def inherit(self, before):
        self.heir_of = before.settings


class Court:
    """A succession, and every controller that it made."""

    def __init__(self):
        self.made = []
        self.succession = Succession(self.make)

    def make(self, settings):
        self.made.append(Noting(settings))
        return self.made[-1]

    def begin(self, name, settings):
        self.succession.begin(name, Plan("draft", 1, 1, round_settings=settings), sampled=False)


def views(*names):
    return [RowView(name, 10, 10) for name in names]


@pytest.fixture
def court():
    return Court()


def test_rows_are_chosen_for_by_the_settings_they_began_with_in_the_order_given(court):
    court.begin("a", "x")
    court.begin("b", "yy")
    court.begin("c", "x")
    assert [arm.gamma for arm in court.succession.choose(views("b", "a", "c"))] == [2, 1, 1]


def test_the_newest_inherits_from_the_one_before(court):
    court.begin("a", "x")
    court.begin("b", "yy")
    assert [(each.settings, each.heir_of) for each in court.made] == [("", None), ("x", ""), ("yy", "x")]


def test_what_rounds_say_goes_to_the_row_s_own_controller(court):
    court.begin("a", "x")
    court.begin("b", "yy")
    record = RoundRecord("draft", 1, 1, 2, 0.1, 0.1)
    court.succession.observe("a", record)
    assert [len(each.seen) for each in court.made] == [0, 1, 0]


def test_settings_that_nobody_follows_are_forgotten_and_the_newest_is_kept(court):
    court.begin("a", "x")
    court.begin("b", "yy")
    court.succession.end("b")
    court.begin("c", "yy")
    assert len(court.made) == 3
    court.succession.end("a")
    court.begin("d", "x")
    assert [each.settings for each in court.made] == ["", "x", "yy", "x"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["", "x", "yy"])), max_size=40))
def test_any_order_of_beginnings_and_ends_leaves_no_row_behind(steps):
    court, live = Court(), {}
    for name, settings in steps:
        if name in live:
            court.succession.end(name)
            del live[name]
        else:
            court.begin(name, settings)
            live[name] = settings
        chosen = court.succession.choose(views(*live))
        assert [arm.gamma for arm in chosen] == [len(each) for each in live.values()]
    for name in list(live):
        court.succession.end(name)
    assert not any(each.rows for each in court.made)
    assert len(court.succession._reigns) == 1


class Keeping(Noting):
    """Keeps accounts as well."""

    credits = {"acme": 7.0}  # noqa: RUF012 - nobody writes to it
    vetoes = 2


class Watching(Noting):
    """Wants a profile."""

    profile_wanted = True
    priced = None

    def reprice(self, costs):
        self.priced, self.profile_wanted = costs, False


def test_a_new_profile_is_wanted_by_any_and_told_to_all():
    made = []
    succession = Succession(lambda settings: made.append(Watching(settings)) or made[-1])
    succession.begin("a", Plan(round_settings="x"), sampled=False)
    succession.begin("b", Plan(round_settings="y"), sampled=False)
    assert succession.profile_wanted
    succession.reprice("costs")
    assert [each.priced for each in made[1:]] == ["costs", "costs"]
    assert not succession.profile_wanted
    assert not Succession(Noting).profile_wanted


def test_the_accounts_are_the_newest_s_and_vetoes_are_everybody_s():
    succession = Succession(Keeping)
    assert (succession.credits, succession.vetoes) == ({"acme": 7.0}, 2)
    succession.begin("a", Plan(round_settings="x"), sampled=False)  # nobody follows the first any more
    succession.begin("b", Plan(round_settings="y"), sampled=False)
    assert succession.vetoes == 6
    succession.end("a")
    assert succession.vetoes == 6
    assert (Succession(Noting).credits, Succession(Noting).vetoes) == ({}, 0)
