"""What was logged, lived again; what others would have brought."""

from dataclasses import replace

import numpy as np
import pytest

from specsched.bench.evaluation.drive import Drive
from specsched.bench.replay.logged import LoggedRun, fitted_costs, runs_of
from specsched.bench.replay.offpolicy import estimate, logged_value, redo
from specsched.bench.simulation.scenarios import SCENARIOS
from specsched.classify.base import PROMPT_CLASSES
from specsched.errors import SetupError
from specsched.policy.adaptive import AdaptivePolicy
from specsched.policy.controller import PlannedController
from specsched.policy.cost import CostModel
from specsched.policy.settings import PolicySettings
from specsched.records import NO_DRAFT, AcceptanceRecord, DecisionRecord, Plan

REQUESTS = 24
SEED = 11


class Logging:
    """A policy that writes down what it lives, as a scheduler does."""

    def __init__(self, policy, world):
        self.policy, self.world, self.records, self.contexts = policy, world, [], []
        self._decided, self._costs = {}, CostModel(world.costs)

    def decide(self, context):
        plan = self.policy.decide(context)
        name = str(len(self._decided))
        self.contexts.append(context)
        self._decided[name] = DecisionRecord(
            request_id=name,
            tenant="",
            number=len(self._decided),
            rounds_before=len(self.records),
            class_probabilities=context.class_probabilities,
            sampled=context.sampled,
            coupled=context.coupled,
            hint=context.hint,
            drafts=context.drafts,
            draft_versions=("",) * len(context.drafts),
            worker_id="w",
            cost_version=1,
            running_rows=context.running_rows,
            prompt_tokens=context.prompt_tokens,
            expected_tokens=context.expected_tokens,
            plan=plan,
        )
        return plan

    def observe(self, observation):
        self.policy.observe(observation)
        at = self.contexts[int(observation.request_id)].prompt_tokens
        self.records.append(
            AcceptanceRecord(
                run_id="run",
                number=len(self.records),
                unix_seconds=0.0,
                decision=self._decided[observation.request_id],
                round_index=0,
                worker_id="w",
                context_tokens=at,
                committed_tokens=observation.round.num_accepted + (not observation.round.censored),
                round=observation.round,
                plain_seconds=self._costs.verify(1, at),
            )
        )


def fresh(seed=SEED):
    return AdaptivePolicy(PolicySettings(), PROMPT_CLASSES, seed)


class Uniform:
    """Begins with any draft as likely; learns nothing."""

    def __init__(self):
        self._random = np.random.default_rng(5)

    def decide(self, context):
        draft = str(self._random.choice([*context.drafts, NO_DRAFT]))
        gamma = 0 if draft == NO_DRAFT else 3
        return Plan(draft, gamma, gamma, seed=int(self._random.integers(1 << 40)))

    def observe(self, observation):
        pass


def lived(policy, requests=REQUESTS):
    world = SCENARIOS["stationary"].world("gpu", 0, requests)
    logging = Logging(policy, world)
    run = Drive(world, logging, PlannedController()).run()
    return world, logging.records, run


def test_the_logged_policy_decides_again_as_it_did():
    world, records, _ = lived(fresh())
    (run,) = runs_of(reversed(records))  # files need not be in order
    redone = redo(run, fresh(), world.profiled, draws=10)
    assert len(redone) == REQUESTS
    assert all(one.same_seed and one.same_beliefs and one.same_arm for one in redone)


def test_decisions_that_came_to_no_round_are_drawn_all_the_same():
    world, records, _ = lived(fresh())
    (run,) = runs_of(records)
    last = run.requests[-1].decision.number
    later = [
        replace(r, decision=replace(r.decision, number=last + 2)) if r.decision.number == last else r for r in records
    ]
    (run,) = runs_of(later)
    skipping = fresh()
    redone = redo(run, skipping, world.profiled, draws=10)
    assert [one.same_seed for one in redone[:-1]] == [True] * (REQUESTS - 1)
    assert not redone[-1].same_seed  # two draws later than it was


def test_another_seed_or_other_beliefs_show():
    world, records, _ = lived(fresh())
    (run,) = runs_of(records)
    assert not any(one.same_seed for one in redo(run, fresh(seed=12), world.profiled, draws=10))
    forgetful = LoggedRun(tuple(replace(r, rounds=r.rounds[:1]) for r in run.requests))
    assert not all(one.same_beliefs for one in redo(forgetful, fresh(), world.profiled, draws=10))


def test_what_others_would_bring_is_what_they_bring():
    world, records, _ = lived(Uniform(), requests=300)
    (run,) = runs_of(records)
    redone = redo(run, Uniform(), world.costs, draws=40)
    for draft in ("small", "large", NO_DRAFT):
        value, requests = estimate(redone, draft)
        own = [one.request for one in redone if one.request.draft == draft]
        truth = sum(r.plain_seconds for r in own) / sum(r.seconds for r in own)
        assert value.value == pytest.approx(truth, rel=0.06)  # weights are nearly alike here
        assert value.low < value.value < value.high
        assert 40 < requests < 80
    assert estimate(redone, "small")[0].low > estimate(redone, NO_DRAFT)[0].high
    assert logged_value(redone).value > 1


def test_costs_are_read_off_the_rounds():
    world, records, _ = lived(Uniform())
    true, found = (CostModel(grid) for grid in (world.costs, fitted_costs(runs_of(records))))
    assert found.verify(4, 300) == pytest.approx(true.verify(4, 300), rel=0.1)


def test_no_records_are_one_error():
    with pytest.raises(SetupError, match="no acceptance records"):
        runs_of([])
