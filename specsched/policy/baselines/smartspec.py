"""SmartSpec, later TurboSpec (arXiv 2406.14066): the γ with the best predicted goodput of the batch.

Goodput is expected tokens by batch over its time. One constant acceptance rate α, a moving average over past rounds,
gives E[N | γ] = (1 - α^{γ+1}) / (1 - α); the time is the cost model's. Constant hazards are the paper's simplification
(real ones rise with the position), and like every average it learns nothing while γ is 0: only a change of the load can
lead away from there.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence

from specsched.policy.baselines.lever import BatchView, LeverController
from specsched.policy.baselines.plans import DraftPolicy
from specsched.policy.batch import Batch, Lane
from specsched.policy.cost import STRETCH, CostModel, TrackedCosts, remembered
from specsched.records import CostGrid, RoundRecord

START_RATE = 0.7
"""α of a draft that nobody has seen."""
WEIGHT = 0.1
"""Of the newest round in α."""
FIRST_GAMMA = 4
"""Of a plan; the first round chooses anew."""


class GoodputLever:
    """α per draft, and the γ that it makes best for the batch as it is now."""

    def __init__(self, costs: CostGrid) -> None:
        self._costs = TrackedCosts(CostModel(costs))
        self._rates: dict[str, float] = defaultdict(lambda: START_RATE)
        self._chosen: dict[tuple[Hashable, ...], int] = {}
        """By batch: where nothing is drafted nothing is learnt, and the same comes again."""

    def rate(self, draft_model: str) -> float:
        """Return α, the probability that a drafted token is accepted when those before it were."""
        return self._rates[draft_model]

    def choose(self, batch: BatchView) -> int:
        """Return the γ with the best goodput, the smaller of equals."""
        at = (batch.rows, *batch.drafts.items(), batch.max_gamma, round(batch.context_tokens / STRETCH))
        found = self._chosen.get(at)
        if found is None:
            goodputs = Batch(self._lanes(batch), self._costs, batch.context_tokens).goodputs()
            found = remembered(self._chosen, at, goodputs.index(max(goodputs)))
        return found

    def _lanes(self, batch: BatchView) -> list[Lane]:
        lanes = [Lane()] * (batch.rows - sum(batch.drafts.values()))
        for draft, rows in batch.drafts.items():
            lanes += [Lane(draft, batch.max_gamma, tokens=self._tokens(draft, batch.max_gamma))] * rows
        return lanes

    def _tokens(self, draft_model: str, highest: int) -> list[float]:
        """E[tokens of a round | γ], γ from 0 on."""
        rate = self.rate(draft_model)
        return [expected_tokens(rate, gamma) for gamma in range(highest + 1)]

    def observe(self, records: Sequence[RoundRecord]) -> None:
        """Move each draft's α towards the share of this round's judged tokens that were accepted.

        Of costs only how often drafts fall short is learnt: times are as they were profiled.
        """
        for record in records:
            self._costs.shortfalls.observe(record)
        if any(record.planned_gamma for record in records):
            self._chosen.clear()
        for draft_model in {record.draft_model for record in records}:
            own = [record for record in records if record.draft_model == draft_model]
            judged = sum(_judged(record) for record in own)
            if judged:
                share = sum(record.num_accepted for record in own) / judged
                self._rates[draft_model] += WEIGHT * (share - self._rates[draft_model])


def expected_tokens(rate: float, gamma: int) -> float:
    """E[N | γ] = (1 - α^{γ+1}) / (1 - α), bonus included (Leviathan et al., arXiv 2211.17192, equation 1)."""
    return gamma + 1.0 if rate >= 1 else (1 - rate ** (gamma + 1)) / (1 - rate)


def _judged(record: RoundRecord) -> int:
    """Tokens up to and with the first miss; those beyond were never asked about.

    A proposer that drafted less than it was asked for had nothing to go by: a miss too.
    """
    missed = record.num_accepted < max(record.gamma, record.planned_gamma) and not record.censored
    return record.num_accepted + missed


def smartspec_policy(draft_model: str, max_gamma: int) -> DraftPolicy:
    """Return the policy: the draft, γ for the worker to choose."""
    return DraftPolicy("smartspec", draft_model, FIRST_GAMMA, max_gamma)


def smartspec_controller(costs: CostGrid) -> LeverController:
    """Return the round controller: α and costs are the worker's."""
    return LeverController(GoodputLever(costs))
