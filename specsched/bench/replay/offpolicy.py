"""What other policies would have brought, from what one policy logged: it is run again, and its choices weighted.

The logged policy is run again from its seed over the logged decisions and rounds. Where it draws as it did then, its
plans carry the seeds and beliefs that stand in the log; how likely it was to begin with each draft is read off by
letting a copy decide again and again. Others are then estimated by self-normalised inverse propensity (Swaminathan and
Joachims 2015, SNIPS): a request counts 1 ÷ that likelihood where the other policy would have begun as it did.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import isclose

import numpy as np

from specsched.bench.evaluation.scores import Estimate
from specsched.bench.replay.logged import LoggedRequest, LoggedRun, context_of, hindsight_of, observation_of
from specsched.policy.base import DecisionContext, LearnsFromHindsight, Policy
from specsched.records import AcceptanceRecord, CostGrid, DecisionRecord, Plan

_DRAWS = 2_000
_QUANTILES = (0.025, 0.975)
_CLIP = 20.0
"""Largest weight: beyond it one request would speak for all."""


@dataclass(frozen=True, slots=True)
class Redone:
    """One logged request, decided again."""

    request: LoggedRequest
    same_seed: bool
    same_beliefs: bool
    same_arm: bool
    shares: Mapping[str, float]
    """Draft → probability with which the policy would begin with it."""


def redo(
    run: LoggedRun, policy: Policy, costs: CostGrid, draws: int, say: Callable[[], None] = lambda: None
) -> list[Redone]:
    """Decide again and learn again, all that was logged, in its order; `say` is called after each decision."""
    requests = {request.decision.number: request for request in run.requests}
    found, expected = [], 0
    for event in run.events():
        if isinstance(event, AcceptanceRecord):
            _learn(policy, event)
            continue
        context = context_of(event, costs)
        for _ in range(event.number - expected):  # decisions that came to no round drew too
            policy.decide(context)
        expected = event.number + 1
        shares = _shares(policy, context, draws)
        found.append(_compared(requests[event.number], policy.decide(context), event, shares))
        say()
    return found


def _learn(policy: Policy, record: AcceptanceRecord) -> None:
    """As the scheduler's observer does."""
    policy.observe(observation_of(record))
    if isinstance(policy, LearnsFromHindsight):
        for hindsight in hindsight_of(record):
            policy.look_back(hindsight)


def _shares(policy: Policy, context: DecisionContext, draws: int) -> dict[str, float]:
    copy = deepcopy(policy)
    begun = [copy.decide(context).draft_model for _ in range(draws)]
    return {draft: begun.count(draft) / draws for draft in set(begun)}


def _compared(request: LoggedRequest, plan: Plan, logged: DecisionRecord, shares: Mapping[str, float]) -> Redone:
    return Redone(
        request,
        same_seed=plan.seed == logged.plan.seed,
        same_beliefs=_alike(plan, logged.plan),
        same_arm=(plan.draft_model, plan.gamma) == (logged.plan.draft_model, logged.plan.gamma),
        shares=shares,
    )


def _alike(ours: Plan, theirs: Plan) -> bool:
    if [c.draft_model for c in ours.candidates] != [c.draft_model for c in theirs.candidates]:
        return False
    pairs = zip(ours.candidates, theirs.candidates, strict=True)
    betas = [pair for one, other in pairs for pair in zip(one.hazards, other.hazards, strict=False)]
    return all(isclose(a.a, b.a, rel_tol=1e-6) and isclose(a.b, b.b, rel_tol=1e-6) for a, b in betas)


def estimate(redone: Sequence[Redone], draft: str) -> tuple[Estimate, float]:
    """Goodput × plain decoding if every request began with one draft, and how many requests that rests on.

    Rounds are as the service's controller played them. The second number is the effective one, (Σw)² / Σw².
    """
    weights = np.array([_weight(one, draft) for one in redone])
    plain = np.array([one.request.plain_seconds for one in redone])
    taken = np.array([one.request.seconds for one in redone])
    total = float((weights**2).sum())
    return _ratio(weights * plain, weights * taken), float(weights.sum() ** 2 / total) if total else 0.0


def logged_value(redone: Sequence[Redone]) -> Estimate:
    """Goodput × plain decoding of what was really played."""
    plain = np.array([one.request.plain_seconds for one in redone])
    return _ratio(plain, np.array([one.request.seconds for one in redone]))


def _weight(one: Redone, draft: str) -> float:
    share = one.shares.get(draft, 0.0)
    return min(_CLIP, 1 / share) if one.request.draft == draft and share > 0 else 0.0


def _ratio(plain: np.ndarray, taken: np.ndarray) -> Estimate:
    if not taken.sum():
        return Estimate(float("nan"), float("nan"), float("nan"))
    drawn = np.random.default_rng(0).integers(len(taken), size=(_DRAWS, len(taken)))
    below = taken[drawn].sum(1)
    low, high = np.quantile((plain[drawn].sum(1) / np.where(below > 0, below, np.nan))[below > 0], _QUANTILES)
    return Estimate(float(plain.sum() / taken.sum()), float(low), float(high))
