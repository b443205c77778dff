"""What holds for every baseline, and what the two simplest do, on rounds with a script."""

import numpy as np
import pytest

from specsched.policy.base import Arm
from specsched.policy.baselines.batch_table import batch_table_controller, batch_table_policy
from specsched.policy.baselines.ema import ema_controller, ema_policy
from specsched.policy.baselines.epsilon_greedy import epsilon_greedy_controller, epsilon_greedy_policy
from specsched.policy.baselines.exp3spec import exp3spec_controller, exp3spec_policy
from specsched.policy.baselines.hedgespec import HedgeSpecController, HedgeSpecPolicy
from specsched.policy.baselines.heuristic import heuristic_controller, heuristic_policy
from specsched.policy.baselines.metasd import metasd_controller, metasd_policy
from specsched.policy.baselines.plans import PLAIN
from specsched.policy.baselines.smartspec import smartspec_controller, smartspec_policy
from specsched.policy.baselines.ucbspec import ucbspec_controller, ucbspec_policy
from specsched.records import NO_DRAFT, Plan
from tests.policy.grids import grid
from tests.policy.rounds import FREE, begun, context, everything, nothing, play, record, views

TABLE = {1: 5, 4: 3, 8: 1, 16: 0}
POLICIES = {
    "heuristic": lambda: heuristic_policy("good", 8),
    "batch_table": lambda: batch_table_policy("good", TABLE, 8),
    "ema": lambda: ema_policy("good", 8),
    "smartspec": lambda: smartspec_policy("good", 8),
    "ucbspec": lambda: ucbspec_policy(8, seed=1),
    "exp3spec": lambda: exp3spec_policy(8, seed=1),
    "metasd": lambda: metasd_policy(8, seed=1),
    "hedgespec": lambda: HedgeSpecPolicy(8, seed=1),
    "epsilon_greedy": lambda: epsilon_greedy_policy("good", 8),
}
CONTROLLERS = {
    "heuristic": heuristic_controller,
    "batch_table": lambda: batch_table_controller(TABLE),
    "ema": lambda: ema_controller(8),
    "smartspec": lambda: smartspec_controller(grid()),
    "ucbspec": lambda: ucbspec_controller(grid()),
    "exp3spec": lambda: exp3spec_controller(grid()),
    "metasd": metasd_controller,
    "hedgespec": HedgeSpecController,
    "epsilon_greedy": lambda: epsilon_greedy_controller(8, seed=1),
}


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


@pytest.mark.parametrize(("rows", "gamma"), [(1, 5), (2, 3), (4, 3), (5, 1), (8, 1), (9, 0), (16, 0), (17, 0)])
def test_the_table_is_looked_up_by_running_rows(rows, gamma):
    controller = begun(batch_table_controller(TABLE), *[FREE] * rows)
    names = "abcdefghijklmnopqrstuvwxyz"[:rows]
    assert {arm.gamma for arm in controller.choose(views(*names))} == {gamma}


def test_a_pinned_row_counts_as_a_running_one():
    controller = begun(batch_table_controller(TABLE), FREE, Plan("bad", 2, 2))
    assert controller.choose(views("a", "b")) == [Arm("good", 3), Arm("bad", 2)]
