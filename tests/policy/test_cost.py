"""Costs follow the grid, and then what rounds really took."""

import pytest

from specsched.policy.cost import CostModel, Group, TrackedCosts
from specsched.records import CostGrid, CostPoint, DraftCost


def test_costs_are_interpolated_and_go_on_beyond_the_grid():
    model = CostModel(CostGrid(1, (CostPoint(1, 64, 1.0), CostPoint(5, 64, 2.0), CostPoint(9, 64, 3.0)), ()))
    assert model.verify(3, 64) == pytest.approx(1.5)
    assert model.verify(13, 64) == pytest.approx(4.0)


def test_a_spike_in_the_profile_makes_nothing_dearer():
    points = (CostPoint(1, 64, 5.0), CostPoint(2, 64, 1.1), CostPoint(3, 64, 1.2))
    model = CostModel(CostGrid(1, points, ()))
    assert model.verify(1, 64) == pytest.approx(1.1)


def test_context_lengths_lie_between_their_neighbours_and_cut_profiles_are_left_out():
    whole = tuple(CostPoint(n, context, n * scale) for context, scale in ((64, 1.0), (512, 2.0)) for n in (1, 2))
    model = CostModel(CostGrid(1, (*whole, CostPoint(1, 1536, 90.0)), ()))
    assert model.verify(2, 288) == pytest.approx(3.0)
    assert model.verify(2, 5000) == pytest.approx(4.0)


def test_drafts_cost_overhead_and_steps_by_rows_and_context():
    steps = (CostPoint(1, 64, 0.1), CostPoint(9, 64, 0.5), CostPoint(1, 1088, 0.3))
    model = CostModel(CostGrid(1, (CostPoint(1, 64, 1.0),), (DraftCost("d", 0.05, steps, 0.001),)))
    assert model.draft(Group("d", 1, 4), 64) == pytest.approx(0.05 + 0.4)
    assert model.draft(Group("d", 5, 2), 64) == pytest.approx(0.05 + 2 * 0.3)
    assert model.draft(Group("d", 1, 1), 1088) == pytest.approx(0.05 + 0.3)
    assert model.draft(Group("d", 1, 0), 64) == 0.0
    assert model.prefill("d", 100) == pytest.approx(0.1)


def test_without_a_profile_costs_are_nominal():
    model = CostModel(CostGrid(0, (), ()))
    assert model.verify(5, 100) == 1.0
    assert 0 < model.draft(Group("d", 1, 3), 100) < 1.0


def test_tracking_follows_a_machine_that_became_slower_and_shrugs_at_a_spike():
    costs = TrackedCosts(CostModel(CostGrid(1, (CostPoint(1, 64, 1.0), CostPoint(2, 64, 1.0)), ())))
    for _ in range(200):
        costs.observe_verify(1, 1, 64, 2.0)
    assert costs.verifying(1, 1, 64) == pytest.approx(2.0, rel=0.01)
    assert costs.verifying(1, 0, 64) == pytest.approx(2.0, rel=0.1)  # never played: its point may be off by so much
    before = costs.plain(1, 64)
    costs.observe_verify(1, 1, 64, 1000.0)
    assert costs.plain(1, 64) < 1.05 * before


def test_a_machine_that_became_faster_is_followed_as_soon_as_one_that_became_slower():
    slower, faster = (TrackedCosts(CostModel(CostGrid(1, (CostPoint(1, 64, 1.0),), ()))) for _ in range(2))
    for _ in range(30):
        slower.observe_verify(1, 0, 64, 1.25)
        faster.observe_verify(1, 0, 64, 0.8)
    assert slower.verifying(1, 0, 64) == pytest.approx(1.25, rel=0.05)
    assert faster.verifying(1, 0, 64) == pytest.approx(0.8, rel=0.05)


def test_a_plain_round_counts_for_less_until_it_was_measured_a_few_times():
    costs = TrackedCosts(CostModel(CostGrid(1, (CostPoint(1, 64, 1.0), CostPoint(2, 64, 1.0)), ())))
    unsure = costs.plain(1, 64)
    assert unsure == pytest.approx(0.94)
    for _ in range(8):
        costs.observe_verify(1, 1, 64, 1.0)
    assert costs.plain(1, 64) == unsure  # other points say nothing of it
    for _ in range(8):
        costs.observe_verify(1, 0, 64, 0.97)
    assert 0.95 < costs.plain(1, 64) < 0.97
    assert costs.verifying(1, 0, 64) == pytest.approx(0.97, abs=0.005)


def test_one_slow_round_at_the_start_makes_plain_decoding_look_no_slower():
    costs = TrackedCosts(CostModel(CostGrid(1, (CostPoint(1, 64, 1.0),), ())))
    costs.observe_verify(1, 0, 64, 4.0)
    assert costs.plain(1, 64) < 1.02


def test_a_point_that_was_profiled_wrongly_makes_plain_decoding_look_no_slower():
    costs = TrackedCosts(CostModel(CostGrid(1, (CostPoint(1, 64, 1.0), CostPoint(2, 64, 1.0)), ())))
    for _ in range(100):
        costs.observe_verify(1, 1, 64, 1.06)
    assert costs.verifying(1, 1, 64) == pytest.approx(1.06, abs=0.005)
    assert costs.plain(1, 64) < 1.015
