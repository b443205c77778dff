"""Every baseline does what its source says, on rounds with a script."""

import math
from dataclasses import replace

import numpy as np
import pytest

from specsched.policy.base import Arm, DecisionContext, RowView
from specsched.policy.baselines.batch_table import batch_table_controller, batch_table_policy
from specsched.policy.baselines.ema import EmaSettings, Ladder, ema_controller, ema_policy
from specsched.policy.baselines.heuristic import heuristic_controller, heuristic_policy
from specsched.policy.baselines.lever import BatchView, LeverController
from specsched.policy.baselines.plans import PLAIN
from specsched.policy.baselines.smartspec import (
    START_RATE,
    WEIGHT,
    GoodputLever,
    expected_tokens,
    smartspec_controller,
    smartspec_policy,
)
from specsched.policy.baselines.ucbspec import Bandit, UcbSpecPolicy, arms_of, radius, ucbspec_controller
from specsched.policy.cost import CostModel, Group
from specsched.records import NO_DRAFT, ClassProbabilities, CostGrid, Plan, RoundRecord, SpeculationHint
from tests.policy.grids import grid

TABLE = {1: 5, 4: 3, 8: 1, 16: 0}
POLICIES = {
    "heuristic": lambda: heuristic_policy("good", 8),
    "batch_table": lambda: batch_table_policy("good", TABLE, 8),
    "ema": lambda: ema_policy("good", 8),
    "smartspec": lambda: smartspec_policy("good", 8),
    "ucbspec": lambda: UcbSpecPolicy(8, seed=1),
}
CONTROLLERS = {
    "heuristic": heuristic_controller,
    "batch_table": lambda: batch_table_controller(TABLE),
    "ema": lambda: ema_controller(8),
    "smartspec": lambda: smartspec_controller(grid()),
    "ucbspec": lambda: ucbspec_controller(grid()),
}
FREE = Plan("good", 5, 20, pinned=False)


def context(drafts=("good", "bad"), **hint):
    pi = ClassProbabilities(("chat",), (1.0,))
    return DecisionContext(pi, sampled=False, coupled=True, drafts=drafts, costs=grid(), hint=SpeculationHint(**hint))


def views(*names, remaining=1000):
    return [RowView(name, 100, remaining) for name in names]


def record(arm, accepted, rows=1, seconds=(0.1, 1.0)):
    propose = seconds[0] * arm.gamma
    return RoundRecord(arm.draft_model, arm.gamma, accepted, rows, propose, seconds[1], planned_gamma=arm.gamma)


def play(controller, accepted, rows=("a",)):
    """Run one round; `accepted` says what of a row's arm is accepted. Returns the arms."""
    arms = controller.choose(views(*rows))
    for name, arm in zip(rows, arms, strict=True):
        controller.observe(name, record(arm, accepted(arm), len(rows)))
    return arms


def everything(arm):
    return arm.gamma


def nothing(_arm):
    return 0


def begun(controller, *plans):
    for name, plan in zip("abcdefghijklmnopqrstuvwxyz", plans, strict=False):
        controller.begin(name, plan, sampled=False)
    return controller


# ------------------------------------------------------------------------------------------------ all of them


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize(
    ("hint", "bound", "drafts"),
    [
        ({}, 8, {"good", "bad"}),
        ({"max_num_speculative_tokens": 3}, 3, {"good", "bad"}),
        ({"draft_model": "bad"}, 8, {"bad"}),
        ({"disable": True}, 0, set()),
        ({"num_speculative_tokens": 0}, 0, set()),
    ],
)
def test_arms_stay_within_the_caller_s_hint(kind, hint, bound, drafts):
    controller = begun(CONTROLLERS[kind](), POLICIES[kind]().decide(context(**hint)))
    arms = [play(controller, everything)[0] for _ in range(60)]
    assert max(arm.gamma for arm in arms) <= bound
    assert {arm.draft_model for arm in arms} <= {*drafts, NO_DRAFT}
    assert any(arm.gamma for arm in arms) == bool(bound)


@pytest.mark.parametrize("kind", POLICIES)
def test_a_caller_s_pin_is_left_alone(kind):
    plan = POLICIES[kind]().decide(context(num_speculative_tokens=6, draft_model="bad"))
    controller = begun(CONTROLLERS[kind](), plan)
    assert {play(controller, nothing)[0] for _ in range(60)} == {Arm("bad", 6)}


@pytest.mark.parametrize("kind", POLICIES)
def test_without_its_draft_it_decodes_plainly(kind):
    plan = POLICIES[kind]().decide(context(drafts=()))
    assert begun(CONTROLLERS[kind](), plan).choose(views("a")) == [PLAIN]


@pytest.mark.parametrize("kind", CONTROLLERS)
def test_no_gamma_beyond_what_the_row_can_still_take(kind):
    controller = begun(CONTROLLERS[kind](), POLICIES[kind]().decide(context()))
    assert controller.choose(views("a", remaining=1)) == [PLAIN]
    assert controller.choose(views("a", remaining=3))[0].gamma <= 2


@pytest.mark.parametrize("kind", CONTROLLERS)
def test_equal_seeds_and_rounds_give_equal_arms(kind):
    def sequence():
        random, policy = np.random.default_rng(3), POLICIES[kind]()
        controller = begun(CONTROLLERS[kind](), policy.decide(context()), policy.decide(context()))
        return [
            play(controller, lambda arm: int(np.cumprod(random.random(arm.gamma) < 0.7).sum()), ("a", "b"))
            for _ in range(80)
        ]

    assert sequence() == sequence()


# -------------------------------------------------------------------------------------------------- heuristic


def test_the_heuristic_adds_two_after_a_full_round_and_takes_one_after_any_other():
    controller = begun(heuristic_controller(), FREE)
    script = [
        True,
        True,
        False,
        False,
        True,
        False,
        False,
        False,
        False,
        False,
        False,
        False,
        False,
        False,
        False,
        True,
    ]
    gammas = [play(controller, everything if full else nothing)[0].gamma for full in script]
    assert gammas == [5, 7, 9, 8, 7, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 1]
    assert controller.choose(views("a"))[0].gamma == 3


def test_the_heuristic_is_the_request_s_own():
    controller = begun(heuristic_controller(), FREE, FREE)
    a, b = controller.choose(views("a", "b"))
    controller.observe("a", record(a, 5))
    controller.observe("b", record(b, 4))
    assert [arm.gamma for arm in controller.choose(views("a", "b"))] == [7, 4]
    controller.end("a")
    controller.begin("a", FREE, sampled=False)
    assert controller.choose(views("a"))[0].gamma == 5


# ------------------------------------------------------------------------------------------------ batch table


@pytest.mark.parametrize(("rows", "gamma"), [(1, 5), (2, 3), (4, 3), (5, 1), (8, 1), (9, 0), (16, 0), (17, 0)])
def test_the_table_is_looked_up_by_running_rows(rows, gamma):
    controller = begun(batch_table_controller(TABLE), *[FREE] * rows)
    names = "abcdefghijklmnopqrstuvwxyz"[:rows]
    assert {arm.gamma for arm in controller.choose(views(*names))} == {gamma}


def test_a_pinned_row_counts_as_a_running_one():
    controller = begun(batch_table_controller(TABLE), FREE, Plan("bad", 2, 2))
    assert controller.choose(views("a", "b")) == [Arm("good", 3), Arm("bad", 2)]


# -------------------------------------------------------------------------------------------------------- ema


def climb(ladder, accepted, rounds):
    """Returns γ after each round; `accepted` is a mean of many rows, so that it needn't be whole."""
    gammas = []
    for _ in range(rounds):
        hundred = [record(Arm("good", ladder.gamma), int(accepted)) for _ in range(100)]
        more = round((accepted - int(accepted)) * 100)
        ladder.observe([replace(r, num_accepted=r.num_accepted + (i < more)) for i, r in enumerate(hundred)])
        gammas.append(ladder.gamma)
    return gammas


def test_the_ladder_starts_in_its_middle_and_looks_once_an_interval_after_its_warm_up():
    ladder = Ladder(EmaSettings(), 8)
    assert ladder.gamma == 3
    assert climb(ladder, 3, 15) == [3] * 14 + [5]


def test_a_step_down_needs_more_than_a_step_up_undoes():
    """From 5 down at 2.25 or less, from 3 up above 2.5: between them a rung stays what it is."""
    for start, accepted, end in ((5, 2.4, 5), (3, 2.4, 3), (5, 2.2, 3), (3, 2.6, 5)):
        ladder = Ladder(EmaSettings(rungs=(1, 3, 5) if start == 3 else (3, 5)), 8)
        assert ladder.gamma == start
        climb(ladder, accepted, 60)
        assert ladder.gamma == end


def test_the_ladder_without_probes_never_leaves_plain_decoding():
    ladder = Ladder(EmaSettings(), 8)
    climb(ladder, 0, 40)
    assert ladder.gamma == 0
    assert set(climb(ladder, 0, 100)) == {0}


def test_the_ladder_with_probes_comes_back():
    ladder = Ladder(EmaSettings(probes=True), 8)
    climb(ladder, 0, 40)
    for _ in range(60):
        ladder.observe([record(Arm("good", ladder.gamma), ladder.gamma)])
    assert ladder.gamma == 7


def test_rows_that_played_less_than_the_rung_don_t_move_it():
    controller = begun(LeverController(ladder := Ladder(EmaSettings(), 8)), replace(FREE, max_gamma=1))
    for _ in range(40):
        assert play(controller, nothing) == [Arm("good", 1)]
    assert ladder.gamma == 3


# -------------------------------------------------------------------------------------------------- smartspec


def test_expected_tokens_are_the_sum_of_the_geometric_series():
    for rate in (0.0, 0.3, 0.99, 1.0):
        for gamma in range(9):
            assert expected_tokens(rate, gamma) == pytest.approx(sum(rate**j for j in range(gamma + 1)))


@pytest.mark.parametrize("rows", [1, 2, 5, 16])
@pytest.mark.parametrize("slope", [0.0, 0.05, 0.4])
def test_the_lever_has_the_best_goodput_of_all(rows, slope):
    costs = grid(slope=slope)
    model, lever = CostModel(costs), GoodputLever(costs)
    for accepted in (0, 1, 3, 4):
        for _ in range(10):
            lever.observe([record(Arm("good", 4), accepted)])
        rate = lever.rate("good")
        goodput = [
            rows
            * sum(rate**j for j in range(gamma + 1))
            / (model.draft(Group("good", rows, gamma), 100) + model.verify(rows * (gamma + 1), 100))
            for gamma in range(9)
        ]
        chosen = lever.choose(BatchView(rows, {"good": rows}, 100, 8))
        assert chosen == int(np.argmax(goodput))


def test_the_rate_follows_the_judged_tokens_of_all_rows():
    lever = GoodputLever(grid())
    short = replace(record(Arm("good", 4), 1), gamma=1)  # asked for 4, drafted 1: a miss at 2
    cut = replace(record(Arm("good", 4), 2), censored=True)
    lever.observe([record(Arm("good", 4), 4), record(Arm("good", 4), 0), short, cut, record(PLAIN, 0)])
    assert lever.rate("good") == pytest.approx(START_RATE + WEIGHT * (7 / 9 - START_RATE))
    assert lever.rate("bad") == START_RATE


def test_a_greater_load_shortens_the_lookahead():
    lever = GoodputLever(grid(slope=0.3))
    gammas = [lever.choose(BatchView(rows, {"good": rows}, 100, 8)) for rows in (1, 4, 16, 64)]
    assert gammas == sorted(gammas, reverse=True)
    assert gammas[-1] == 0


# ---------------------------------------------------------------------------------------------------- ucbspec


def test_the_radius_is_the_paper_s():
    """L = 4, K = 5, t = 10, n = 3: 2 · √(4/9 · (1 + 2 ln(5 · 100 · 2 / ½))) = 2 · √(4/9 · 16.2018…)."""
    assert radius(4, 5, 10, 3) == pytest.approx(2 * math.sqrt(4 / 9 * (1 + 2 * math.log(2000))))
    assert radius(4, 5, 10, 3) == pytest.approx(5.3669, abs=1e-4)


def test_the_bandit_tries_every_arm_in_order_and_then_the_highest_bound():
    bandit, rewards, pulls = Bandit(3, 4), (1.0, 3.0, 2.0), [0, 0, 0]
    for rounds in range(200):
        arm = bandit.choose()
        if rounds < 3:
            assert arm == rounds
        else:
            bounds = [rewards[i] + radius(4, 3, rounds, pulls[i]) for i in range(3)]
            assert arm == int(np.argmax(bounds))
        bandit.observe(arm, rewards[arm])
        pulls[arm] += 1
    assert pulls[1] == max(pulls)


def test_every_draft_plain_and_doubling_gamma_is_an_arm_and_every_arm_is_tried():
    plan = UcbSpecPolicy(6, seed=1).decide(context())
    arms = arms_of(plan)
    assert set(arms) == {PLAIN, *(Arm(draft, gamma) for draft in ("good", "bad") for gamma in (1, 2, 4, 6))}
    assert (plan.draft_model, plan.gamma) == (arms[0].draft_model, arms[0].gamma)
    controller = begun(ucbspec_controller(grid()), plan)
    assert [play(controller, nothing)[0] for _ in arms] == arms


def test_short_requests_begin_with_different_arms():
    policy = UcbSpecPolicy(8, seed=1)
    plans = [policy.decide(context()) for _ in range(100)]
    assert {Arm(plan.draft_model, plan.gamma) for plan in plans} == set(arms_of(plans[0]))
    assert {plan.propensity for plan in plans} == {1 / 9}


@pytest.mark.parametrize("costs", [grid(), CostGrid(1, (), ())], ids=["profiled", "not profiled"])
def test_the_reward_is_throughput_so_that_a_slow_draft_loses(costs):
    """Both drafts accept all; the good one's step takes 0.05 of a plain round, the bad one's two of them."""
    controller = begun(ucbspec_controller(costs), UcbSpecPolicy(4, seed=1).decide(context()))
    played = []
    for _ in range(3000):
        [arm] = controller.choose(views("a"))
        step = 0.05 if arm.draft_model == "good" else 2.0
        controller.observe("a", record(arm, arm.gamma, seconds=(step, 1.0)))
        played.append(arm)
    assert max(set(played), key=played.count) == Arm("good", 4)
    assert played.count(Arm("bad", 4)) < played.count(Arm("good", 4)) / 2
