"""The adaptive policy: beliefs on acceptance × measured cost → the arm with the best drawn goodput."""

from collections.abc import Mapping, Sequence

import numpy as np

from specsched.policy.acceptance import HazardTable, Regime
from specsched.policy.arms import Arms, price
from specsched.policy.base import DecisionContext, Observation
from specsched.policy.cost import CostModel
from specsched.policy.hint import choice
from specsched.policy.memory import Cell
from specsched.policy.settings import PolicySettings
from specsched.records import NO_DRAFT, Candidate, CostGrid, Plan

VERSION = "1"


class AdaptivePolicy:
    """Budgeted Thompson sampling over (draft, γ, plain): acceptance is drawn, cost is known (POLICY.md, "Decision")."""

    def __init__(
        self, settings: PolicySettings, classes: tuple[str, ...], seed: int, versions: Mapping[str, str] | None = None
    ) -> None:
        """Begin knowing nothing.

        Args:
            settings: Numbers.
            classes: Prompt classes.
            seed: Of all draws.
            versions: Draft → hash of its weights, for what is kept of it.
        """
        self._settings = settings
        self._versions = dict(versions or {})
        self._revision = 0
        self._table = HazardTable(classes, settings)
        self._random = np.random.default_rng(seed)
        self._costs: tuple[CostGrid, CostModel] | None = None

    def decide(self, context: DecisionContext) -> Plan:
        """Draw every hazard once and take the arm whose goodput is best; explained, many draws say how sure that is."""
        allowed = choice(context, self._settings.max_gamma)
        drafts = allowed.drafts if allowed.gammas else ()
        if not drafts:
            return Plan(policy="adaptive", policy_version=VERSION)
        regime = Regime(context.sampled, context.coupled)
        beliefs = self._table.beliefs(regime, drafts, context.class_probabilities)
        arms = Arms(beliefs, allowed, price(beliefs, allowed, context, self._model(context.costs)))
        drawn = arms.draw(self._random, self._settings.samples if context.explain else 1)
        played = int(drawn[0].argmax())
        arm = arms.arm(played)
        return Plan(
            draft_model=arm.draft_model,
            gamma=arm.gamma,
            max_gamma=allowed.gammas[-1],
            pinned=allowed.pinned,
            candidates=tuple(Candidate(draft, beliefs.of(draft)) for draft in drafts),
            seed=int(self._random.integers(1 << 63)),
            explored=played != int(arms.expected.argmax()),
            propensity=float((drawn.argmax(axis=1) == played).mean()) if context.explain else 0.0,
            policy="adaptive",
            policy_version=VERSION,
            scores=arms.scores(drawn) if context.explain else (),
        )

    def observe(self, observation: Observation) -> None:
        """Learn from one round; plain ones say nothing about drafts."""
        regime = Regime(observation.sampled, observation.coupled)
        if observation.round.draft_model != NO_DRAFT:
            self._revision += 1
            self._table.observe(regime, observation.class_probabilities, observation.round, observation.request_id)

    @property
    def revision(self) -> int:
        """Rounds observed."""
        return self._revision

    def export(self) -> tuple[Cell, ...]:
        """Return all evidence."""
        return self._table.export(self._versions)

    def restore(self, cells: Sequence[Cell]) -> None:
        """Take evidence up. Of a draft whose weights have changed it is kin: a few pseudo-counts a cell."""
        for cell in cells:
            known = cell.draft_version == self._versions.get(cell.draft_model, "")
            counts = max(cell.accepted + cell.rejected, self._settings.kin_strength)
            self._table.add(cell, 1.0 if known else self._settings.kin_strength / counts)

    def _model(self, grid: CostGrid) -> CostModel:
        """The grid's model; a worker's grid stays the same object until it profiles again."""
        if self._costs is None or self._costs[0] is not grid:
            self._costs = (grid, CostModel(grid))
        return self._costs[1]
