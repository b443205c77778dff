"""The adaptive policy: beliefs on acceptance × measured cost → the arm with the best drawn goodput."""

from collections.abc import Mapping, Sequence

import numpy as np

from specsched.policy.acceptance import HazardTable, Regime
from specsched.policy.arms import Arms, Prices
from specsched.policy.base import Arm, DecisionContext, Hindsight, Observation
from specsched.policy.beliefs import Beliefs
from specsched.policy.cost import CostModel
from specsched.policy.exploration import Exploration
from specsched.policy.hint import choice
from specsched.policy.memory import EVERY_CLASS, Cell
from specsched.policy.settings import PolicySettings
from specsched.policy.shortfalls import Shortfalls
from specsched.records import NO_DRAFT, Candidate, CostGrid, Plan

VERSION = "2"


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
        self._exploration = Exploration(settings)
        self._costs: tuple[CostGrid, Prices] | None = None
        self._shortfalls = Shortfalls()

    def decide(self, context: DecisionContext) -> Plan:
        """Draw hazards a few times, play the best arm of one draw: its propensity is the share of draws that agree."""
        allowed = choice(context, self._settings.max_gamma)
        drafts = allowed.drafts if allowed.gammas else ()
        if not drafts:
            return Plan(policy="adaptive", policy_version=VERSION)
        regime = Regime(context.sampled, context.coupled)
        beliefs = self._table.beliefs(regime, drafts, context.class_probabilities)
        arms = Arms(beliefs, allowed, self._prices(context.costs).of(drafts, allowed, context))
        drawn = arms.draw(self._random, self._settings.draws, self._boldness)
        wanted, best = drawn.argmax(axis=1), int(arms.expected.argmax())
        explores = self._exploration.allows(context)
        played = int(wanted[0]) if explores else best
        self._exploration.settle(explored=played != best)
        arm = arms.arm(played)
        return Plan(
            draft_model=arm.draft_model,
            gamma=arm.gamma,
            max_gamma=allowed.gammas[-1],
            pinned=allowed.pinned,
            candidates=self._candidates(regime, beliefs, arms, arm, context),
            seed=int(self._random.integers(1 << 63)),
            explored=played != best,
            propensity=float((wanted == played).mean()) if explores else 1.0,
            policy="adaptive",
            policy_version=VERSION,
            scores=arms.scores(arms.draw(self._random, self._settings.samples, 1.0)) if context.explain else (),
        )

    @property
    def _boldness(self) -> float:
        """How much of its doubt a decision gives way to: less where it learns of drafts in hindsight anyway."""
        settings = self._settings
        return settings.boldness_in_hindsight if settings.hindsight_share > 0 else settings.boldness

    def _candidates(
        self, regime: Regime, beliefs: Beliefs, arms: Arms, arm: Arm, context: DecisionContext
    ) -> tuple[Candidate, ...]:
        """The chosen draft and the most promising others; one alone where a caller wants no exploration."""
        few = 1 if context.hint.disable_exploration else self._settings.candidates
        names = dict.fromkeys((arm.draft_model, *arms.promising()))
        names.pop(NO_DRAFT, None)
        drafts = list(names)[:few]
        shared = self._table.covariance(regime, drafts, context.class_probabilities).tolist()
        return tuple(Candidate(draft, beliefs.of(draft), tuple(row)) for draft, row in zip(drafts, shared, strict=True))

    def observe(self, observation: Observation) -> None:
        """Learn from one round; plain ones say nothing about drafts."""
        regime = Regime(observation.sampled, observation.coupled)
        if observation.round.draft_model != NO_DRAFT:
            self._revision += 1
            self._shortfalls.observe(observation.round)
            self._table.observe(
                regime, observation.class_probabilities, observation.round, observation.request_id, observation.tenant
            )

    def look_back(self, hindsight: Hindsight) -> None:
        """Learn of a draft that a request did not play."""
        self._revision += 1
        self._shortfalls.look_back(hindsight.outcome)
        regime = Regime(hindsight.sampled, hindsight.coupled)
        self._table.observe_counterfactual(
            regime, hindsight.class_probabilities, hindsight.outcome, hindsight.request_id
        )

    @property
    def revision(self) -> int:
        """Rounds observed."""
        return self._revision

    def export(self) -> tuple[Cell, ...]:
        """Return all evidence."""
        return (*self._table.export(self._versions), *self._shortfalls.export(self._versions))

    def restore(self, cells: Sequence[Cell]) -> None:
        """Take evidence up. Of a draft whose weights have changed it is kin: a few pseudo-counts a cell."""
        for cell in cells:
            known = cell.draft_version == self._versions.get(cell.draft_model, "")
            counts = max(cell.accepted + cell.rejected, self._settings.kin_strength)
            share = 1.0 if known else self._settings.kin_strength / counts
            if cell.prompt_class != EVERY_CLASS:
                self._table.add(cell, share)
            elif cell.position <= self._settings.max_gamma:
                self._shortfalls.add(cell, share)

    def _prices(self, grid: CostGrid) -> Prices:
        """The grid's prices; a worker's grid stays the same object until it profiles again."""
        if self._costs is None or self._costs[0] is not grid:
            self._costs = (grid, Prices(CostModel(grid), self._shortfalls))
        return self._costs[1]
