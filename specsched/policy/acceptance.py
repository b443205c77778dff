"""What is believed about acceptance, and how rounds change it (POLICY.md, "Acceptance")."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from specsched.policy.alarm import Cusum, Unrest
from specsched.policy.beliefs import Array, Beliefs
from specsched.policy.contribution import Contribution
from specsched.policy.evidence import Evidence
from specsched.policy.memory import Cell
from specsched.policy.outcomes import outcomes
from specsched.policy.quota import Quota
from specsched.policy.settings import PolicySettings
from specsched.policy.witness import Witness
from specsched.records import ClassProbabilities, Counterfactual, RoundRecord

_LEAST_VARIANCE = 1e-9
_LEAST_STRENGTH = 1.0

_TELLING_ROUNDS = 12
"""Rounds of a request after which it is compared with what was believed of it."""

_LIVE_REQUESTS = 4096
"""Requests whose rounds are known to belong together; the longest silent one is let go."""


@dataclass(frozen=True, slots=True)
class Regime:
    """Acceptance differs between greedy and sampled rows, and between coupled and rejection-sampled ones."""

    sampled: bool
    coupled: bool


class HazardTable:
    """Beliefs on hazards α[draft, class, position], from discounted evidence that classes and positions share.

    In logits, α = profile of the draft + ease of the class + what is particular about the two together; each part is as
    sure as its evidence, and what is particular about a position wins where it was seen often.
    """

    def __init__(self, classes: Sequence[str], settings: PolicySettings) -> None:
        self._classes = tuple(classes)
        self._settings = settings
        self._rows: dict[str, int] = {}
        self._evidence: dict[Regime, Evidence] = {}
        self._watches: dict[tuple[Regime, int, int], Cusum] = {}
        self._unrest: dict[tuple[Regime, int], Unrest] = {}
        self._alarms = 0
        self._quota = Quota(settings)
        self._live: OrderedDict[tuple[str, Regime], Witness] = OrderedDict()

    def beliefs(self, regime: Regime, drafts: tuple[str, ...], probabilities: ClassProbabilities) -> Beliefs:
        """Return the beliefs on every draft's hazards for a prompt of uncertain class.

        The mixture over classes is matched in mean and variance by one Beta: doubt about the class widens it.
        """
        rows = [self._row(draft) for draft in drafts]
        evidence = self._of(regime)
        evidence.refresh_if_late()
        return self._mixed(evidence, drafts, rows, self._weights(probabilities))

    def covariance(self, regime: Regime, drafts: Sequence[str], probabilities: ClassProbabilities) -> Array:
        """Return what is not known of the drafts' levels for the prompt, in logits², [d, d]; after `beliefs`."""
        return self._of(regime).covariance([self._row(draft) for draft in drafts], self._weights(probabilities))

    def observe(
        self,
        regime: Regime,
        probabilities: ClassProbabilities,
        record: RoundRecord,
        request_id: str = "",
        tenant: str = "",
    ) -> None:
        """Credit a round to the classes by their probabilities; positions beyond the outcome are censored."""
        accepted, rejected = outcomes(record, self._settings.max_gamma)
        if not any(accepted) and not any(rejected):
            return
        witness = self._witness(regime, request_id, probabilities)
        row, evidence, k = self._row(record.draft_model), self._of(regime), int(witness.prior.argmax())
        contribution = self._contribution(witness, regime, record.draft_model, probabilities)
        change, full = self._quota.within(tenant, (regime, row, k), contribution.observe(accepted, rejected))
        if not full:
            evidence.age(witness.weights)
        evidence.add(row, witness.weights, change)
        if contribution.rounds % _TELLING_ROUNDS == 0 and not full:
            self._credit(evidence, witness)
        if contribution.rounds == _TELLING_ROUNDS and not full:
            self._watch(regime, row, k, contribution)

    def observe_counterfactual(
        self, regime: Regime, probabilities: ClassProbabilities, outcome: Counterfactual, request_id: str
    ) -> None:
        """Learn what a draft would have brought to a request; of a draft that the request has already told of, nothing.

        So nothing is counted twice, however often an outcome is reported. A request that plays the draft afterwards
        adds to what it said.
        """
        witness, row = self._witness(regime, request_id, probabilities), self._row(outcome.draft_model)
        known, evidence = row in witness.contributions, self._of(regime)
        if not outcome.rounds or known or len(outcome.accepted) != self._settings.max_gamma:
            return  # another depth: it was begun under other settings
        contribution = self._contribution(witness, regime, outcome.draft_model, probabilities)
        change = contribution.observe(outcome.accepted, outcome.rejected, outcome.rounds)
        evidence.add(row, witness.weights, change)
        self._credit(evidence, witness)
        self._watch(regime, row, int(witness.prior.argmax()), contribution)

    @property
    def alarms(self) -> int:
        """Changes that were noticed."""
        return self._alarms

    def _credit(self, evidence: Evidence, witness: Witness) -> None:
        """Move what a request said to the classes that it speaks like."""
        change = witness.reconsider(evidence.levels, evidence.doubts, evidence.leaning, self._settings)
        for row, contribution in witness.contributions.items():
            evidence.add(row, change, contribution.given)

    def _watch(self, regime: Regime, row: int, k: int, contribution: Contribution) -> None:
        """Compare a request with what was believed of it; on an alarm most of that belief goes.

        What has made another draft of one, another target or other prompts, may have changed the others too.
        """
        settings, surprise = self._settings, contribution.surprise
        watch = self._watches.setdefault((regime, row, k), Cusum(settings.alarm_slack, settings.alarm_threshold))
        unrest = self._unrest.setdefault((regime, row), Unrest(settings.alarm_slack, settings.unrest_threshold))
        kept = {(row, k): settings.alarm_keep} if watch.observe(surprise) else {}
        if unrest.observe(surprise):
            cells = product(self._rows.values(), range(len(self._classes)))
            kept = {cell: settings.alarm_keep if cell[0] == row else settings.alarm_keep_others for cell in cells}
        self._alarms += bool(kept)
        for (changed, each), share in kept.items():
            self._of(regime).scale(changed, each, share)

    def export(self, versions: Mapping[str, str]) -> tuple[Cell, ...]:
        """Return a cell wherever there is evidence; `versions` maps drafts to the hashes of their weights."""
        for evidence in self._evidence.values():
            evidence.refresh()  # what is kept is what is believed
        return tuple(
            Cell(
                sampled=regime.sampled,
                coupled=regime.coupled,
                draft_model=draft,
                draft_version=versions.get(draft, ""),
                prompt_class=self._classes[k],
                position=j + 1,
                accepted=float(evidence.counts[0, row, k, j]),
                rejected=float(evidence.counts[1, row, k, j]),
            )
            for regime, evidence in self._evidence.items()
            for draft, row in self._rows.items()
            if row < evidence.counts.shape[1]
            for k, j in np.argwhere(evidence.counts[:, row].sum(0) > 0).tolist()
        )

    def add(self, cell: Cell, share: float) -> None:
        """Add a share of evidence from elsewhere; of an unknown class or position it is left out."""
        if cell.prompt_class not in self._classes or not 1 <= cell.position <= self._settings.max_gamma:
            return
        row = self._row(cell.draft_model)
        weights, change = np.zeros(len(self._classes)), np.zeros((2, self._settings.max_gamma))
        weights[self._classes.index(cell.prompt_class)] = share
        change[:, cell.position - 1] = cell.accepted, cell.rejected
        self._of(Regime(cell.sampled, cell.coupled)).add(row, weights, change)

    def _mixed(self, evidence: Evidence, drafts: tuple[str, ...], rows: Sequence[int], pi: Array) -> Beliefs:
        shape = (evidence.counts.shape[1], self._settings.max_gamma)
        mean = (pi @ evidence.means).reshape(shape)[rows]
        second = (pi @ evidence.squares).reshape(shape)[rows]
        variance = np.maximum(second - mean * mean, _LEAST_VARIANCE)
        strength = np.maximum(mean * (1 - mean) / variance - 1, _LEAST_STRENGTH)
        a = mean * strength
        return Beliefs(drafts, a, strength - a)

    def _witness(self, regime: Regime, request_id: str, probabilities: ClassProbabilities) -> Witness:
        """What the request said so far; without an id nothing is known to belong to it."""
        key = (request_id, regime)
        found = self._live.get(key) if request_id else None
        if found is None:
            found = Witness(self._weights(probabilities))
        if request_id:
            self._live[key] = found
            self._live.move_to_end(key)
        if len(self._live) > _LIVE_REQUESTS:
            self._live.popitem(last=False)
        return found

    def _contribution(
        self, witness: Witness, regime: Regime, draft: str, probabilities: ClassProbabilities
    ) -> Contribution:
        """What a request said of one draft so far."""
        row = self._row(draft)
        found = witness.contributions.get(row)
        if found is None:
            first, *others = self.beliefs(regime, (draft,), probabilities).of(draft)
            doubt = 1 / ((first.a + first.b + 1) * first.mean * (1 - first.mean))
            found = Contribution([first.mean, *(hazard.mean for hazard in others)], doubt, self._settings)
            witness.contributions[row] = found
        return found

    def _row(self, draft: str) -> int:
        return self._rows.setdefault(draft, len(self._rows))

    def _of(self, regime: Regime) -> Evidence:
        """The regime's evidence, with room for every draft that was named so far."""
        found = self._evidence.get(regime)
        if found is None:
            found = self._evidence[regime] = Evidence(len(self._classes), self._settings)
        found.grow(len(self._rows))
        return found

    def _weights(self, probabilities: ClassProbabilities) -> Array:
        if probabilities.classes == self._classes:
            weights = np.array(probabilities.probabilities)
        else:
            by_name = dict(zip(probabilities.classes, probabilities.probabilities, strict=True))
            weights = np.array([by_name.get(name, 0.0) for name in self._classes])
        total = float(weights.sum())
        return weights / total if total > 0 else np.full(len(weights), 1 / len(weights))
