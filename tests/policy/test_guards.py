"""Every tenant has a guard of its own, and whoever waits for a round is asked."""

from collections import defaultdict

import numpy as np
import pytest

from specsched.policy.base import RowView
from specsched.policy.controller import AdaptiveController
from specsched.policy.guards import Guards
from specsched.policy.settings import PolicySettings
from specsched.records import Beta, Candidate, Plan, RoundRecord
from tests.policy.grids import grid

SETTINGS = PolicySettings()
PLAN = Plan("good", 3, 8, pinned=False, candidates=(Candidate("good", (Beta(14, 6),) * 8),))  # believed to be .7
ROOM = 10_000


class Worker:
    """Rounds by the grid's own clock; `truth` says how often a tenant's drafted tokens stand."""

    def __init__(self, truth):
        self.controller = AdaptiveController(SETTINGS, grid(), seed=0)
        self.tokens, self.plain, self.seconds = defaultdict(int), defaultdict(float), defaultdict(float)
        self.slowest = defaultdict(float)
        self._truth = truth
        self._random = np.random.default_rng(0)

    def decode(self, *tenants, rounds, requests=1):
        """Let each tenant have one row at a time; returns the γ that were played."""
        gammas = []
        for request in range(requests):
            names = [f"{tenant}{request}" for tenant in tenants]
            for name in names:
                self.controller.begin(name, PLAN, sampled=False)
            gammas += [self._round(tenants, names) for _ in range(rounds // requests)]
            for name in names:
                self.controller.end(name)
        return gammas

    def _round(self, tenants, names):
        views = [RowView(name, 100, ROOM, tenant) for name, tenant in zip(names, tenants, strict=True)]
        arms = self.controller.choose(views)
        width = max(arm.gamma for arm in arms)
        propose, verify = 0.2 * width, 1 + 0.05 * (len(views) * (width + 1) - 1)
        plain = 1 + 0.05 * (len(views) - 1)
        for name, tenant, arm in zip(names, tenants, arms, strict=True):
            accepted = int(np.cumprod(self._random.random(arm.gamma) < self._truth[tenant]).sum())
            record = RoundRecord(
                arm.draft_model, arm.gamma, accepted, len(views), propose, verify, planned_gamma=arm.gamma
            )
            self.controller.observe(name, record)
            self.tokens[tenant] += accepted + 1
            self.plain[tenant] += (accepted + 1) * plain
            self.seconds[tenant] += propose + verify
            if self.tokens[tenant] >= 256:
                ratio = self.seconds[tenant] / self.plain[tenant]
                self.slowest[tenant] = max(self.slowest[tenant], ratio)
        return [arm.gamma for arm in arms]


def test_what_one_tenant_loses_another_one_still_has():
    worker = Worker({"hopeless": 0.0, "fine": 0.95})
    worker.decode("hopeless", rounds=60, requests=6)
    spent = worker.controller.credits["hopeless"]
    assert spent < SETTINGS.guard_start_tokens / 2
    gammas = worker.decode("fine", rounds=60)
    assert gammas[0] != [0]  # its own start credit pays for the first round
    assert worker.controller.credits["fine"] > 10
    assert worker.controller.credits["hopeless"] == spent


@pytest.mark.parametrize("neighbour", [0.0, 0.95])
def test_a_tenant_with_hopeless_prompts_slows_nobody_beyond_the_bound_and_is_not_slowed_itself(neighbour):
    worker = Worker({"hopeless": 0.0, "other": neighbour})
    worker.decode("hopeless", "other", rounds=600, requests=12)
    assert worker.slowest["hopeless"] <= 1.03
    assert worker.slowest["other"] <= 1.03


def test_a_round_is_played_if_all_can_bear_it_and_each_is_charged_for_its_own_rows():
    guards = Guards(SETTINGS)
    assert guards.allow({"a": 1, "b": 1}, 2.0)
    guards.settle({"a": 1, "b": 2}, {"a": 4, "b": 2}, 2.0)
    start, cost = SETTINGS.guard_start_tokens, (1 - SETTINGS.slowdown) * 2.0
    assert guards.credits == pytest.approx({"a": start + 4 - cost, "b": start + 2 - 2 * cost})
    assert guards.allow({"a": 1}, 2.0)
    assert not guards.allow({"a": 1, "b": 1}, 2.0)
    assert guards.covered({"a": 1}) == pytest.approx(guards.credits["a"])
    assert guards.covered({"a": 1, "b": 1}) == pytest.approx(guards.credits["b"])


def test_only_so_many_tenants_are_remembered():
    guards = Guards(SETTINGS)
    for number in range(2000):
        guards.settle({str(number): 1}, {str(number): 1}, 1.0)
    assert len(guards.credits) == 1024
    assert "1999" in guards.credits
