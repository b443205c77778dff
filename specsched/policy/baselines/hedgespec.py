"""HedgeSpec (arXiv 2510.20064): exponential weights on every draft's loss, for verification tells of all of them.

Chances are p_i ∝ exp(−η Σ_t ℓ_{t,i}) with ℓ = 1 − acceptance length / γ, the paper's second objective, and no mind of
what a draft costs; γ is one for all. The paper has every draft's loss after each round. Here the others' come when a
request is over, so a request keeps its draft, and a prompt class is a game of its own. Where there is no hindsight, as
of rounds that a caller's own engine ran, a round tells of its own draft alone, by ℓ / (p + η/2) (implicit exploration,
Neu, arXiv 1506.03271). η = √(ln K / Σ_t Σ_i p_i ℓ_{t,i}²) suits both kinds of losses (a second-order rate, as in
Cesa-Bianchi, Mansour and Stoltz 2007). Hindsight is asked of every draft, whatever it takes of the worker's time; the
paper has ways to make it cheaper.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from random import Random

from specsched.policy.base import Arm, DecisionContext, Hindsight, Observation, RowView
from specsched.policy.baselines.bandit import UNKNOWN
from specsched.policy.baselines.plans import PlansController
from specsched.policy.hint import choice
from specsched.policy.outcomes import outcomes
from specsched.records import NO_DRAFT, Candidate, Counterfactual, Plan, RoundRecord

GAMMA = 5
"""Of every draft, as of `metasd`."""
_REMEMBERED = 4096
"""Requests whose rounds are counted."""


class Hedge:
    """The losses of the drafts in one game."""

    def __init__(self) -> None:
        self._losses: dict[str, float] = {}
        self._squares = 1.0

    def chances(self, drafts: Sequence[str]) -> list[float]:
        """Return p over these drafts; one that is new is as good as the best."""
        for draft in drafts:
            self._losses.setdefault(draft, min(self._losses.values(), default=0.0))
        least, rate = min(self._losses[draft] for draft in drafts), self._rate
        weights = [math.exp(rate * (least - self._losses[draft])) for draft in drafts]
        return [weight / sum(weights) for weight in weights]

    def suffer(self, draft: str, loss: float, *, certain: bool, rounds: int = 1) -> None:
        """Add the loss of rounds: as it is if it had been seen whatever was played, else by its draft's chance."""
        known = list(dict.fromkeys((*self._losses, draft)))
        chance = self.chances(known)[known.index(draft)]
        estimate = loss if certain else loss / (chance + self._rate / 2)
        self._losses[draft] += rounds * estimate
        self._squares += rounds * chance * estimate**2

    @property
    def _rate(self) -> float:
        return math.sqrt(math.log(max(2, len(self._losses))) / self._squares)


class HedgeSpecPolicy:
    """Draws a draft for a request by what the requests before it, of its class, told of all drafts."""

    def __init__(self, max_gamma: int, seed: int) -> None:
        self._max_gamma = max_gamma
        self._random = Random(seed)
        self._games: dict[tuple[str, bool], Hedge] = defaultdict(Hedge)
        self._looked_back: set[tuple[str, bool]] = set()
        """Drafts that hindsight tells of, of greedy or of sampled requests."""
        self._rounds: dict[str, int] = {}

    def decide(self, context: DecisionContext) -> Plan:
        """Return a plan with the drawn draft; all are candidates, asked in hindsight even where a caller chose."""
        allowed = choice(context, self._max_gamma)
        if not allowed.gammas or not allowed.drafts:
            return Plan(policy="hedgespec")
        chances = self._games[context.class_probabilities.best, context.sampled].chances(allowed.drafts)
        [place] = self._random.choices(range(len(chances)), chances)
        highest = allowed.gammas[-1]
        return Plan(
            draft_model=allowed.drafts[place],
            gamma=highest if allowed.pinned else min(GAMMA, highest),
            max_gamma=highest,
            pinned=allowed.pinned,
            candidates=tuple(Candidate(draft, (UNKNOWN,) * highest) for draft in context.drafts),
            explored=chances[place] < max(chances),
            propensity=chances[place],
            policy="hedgespec",
        )

    def observe(self, observation: Observation) -> None:
        """Learn from a round; with certainty if its draft is also asked where it is not played."""
        record, request = observation.round, observation.request_id
        if record.draft_model == NO_DRAFT or record.planned_gamma == 0 or record.censored:
            return
        self._rounds[request] = self._rounds.pop(request, 0) + 1
        if len(self._rounds) > _REMEMBERED:
            del self._rounds[next(iter(self._rounds))]
        certain = (record.draft_model, observation.sampled) in self._looked_back
        accepted = sum(outcomes(record, record.planned_gamma)[0])
        game = self._games[observation.class_probabilities.best, observation.sampled]
        game.suffer(record.draft_model, 1 - accepted / record.planned_gamma, certain=certain)

    def look_back(self, hindsight: Hindsight) -> None:
        """Learn what a draft would have brought, for as many rounds as the request has had."""
        outcome, rounds = hindsight.outcome, self._rounds.get(hindsight.request_id, 0)
        accepted = outcome.accepted[:GAMMA]
        if not outcome.rounds or not accepted:
            return
        self._looked_back.add((outcome.draft_model, hindsight.sampled))
        loss = 1 - sum(accepted) / (outcome.rounds * len(accepted))
        game = self._games[hindsight.class_probabilities.best, hindsight.sampled]
        game.suffer(outcome.draft_model, loss, certain=True, rounds=rounds)


class HedgeSpecController(PlansController):
    """Plays plans as they stand, and asks all other drafts at the end."""

    def observe(self, request_id: str, round_record: RoundRecord) -> None:
        """Nothing to learn: the policy does."""

    def rivals(self, request_id: str, context_tokens: int) -> tuple[str, ...]:  # noqa: ARG002 - the port's
        """Every draft that a row did not play."""
        plan = self._plans.get(request_id, Plan())
        return tuple(each.draft_model for each in plan.candidates if each.draft_model != plan.draft_model)

    def looked_back(self, request_id: str, context_tokens: int, seconds: float, outcome: Counterfactual) -> None:
        """No account is kept."""

    def _wanted(self, rows: Sequence[RowView]) -> list[Arm]:
        plans = [self._plans[row.request_id] for row in rows]
        return [Arm(plan.draft_model, plan.gamma) for plan in plans]
