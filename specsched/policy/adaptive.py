"""The adaptive policy: beliefs on acceptance × measured cost → the arm with the best drawn goodput."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from specsched.policy.acceptance import Array, HazardTable, Regime, expected_tokens
from specsched.policy.base import Arm, DecisionContext, Observation
from specsched.policy.cost import CostModel, Group
from specsched.policy.hint import Choice, choice
from specsched.policy.settings import PolicySettings
from specsched.records import NO_DRAFT, ArmScore, Beta, Candidate, Plan

VERSION = "1"

_PLAIN = Arm(NO_DRAFT, 0)


@dataclass(frozen=True, slots=True)
class _Scored:
    """Arms side by side: goodput in tokens per second, drawn [S, A] and expected [A]."""

    arms: Sequence[Arm]
    drawn: Array
    expected: Array
    tokens: Array
    """Expected tokens of a round, [A]."""
    seconds: Array
    """Of a round, prefill of the draft spread over the completion, [A]."""

    def records(self) -> tuple[ArmScore, ...]:
        low, high = np.quantile(self.drawn, (0.05, 0.95), axis=0)
        columns = zip(self.arms, self.expected, low, high, self.tokens, self.seconds, strict=True)
        return tuple(ArmScore(arm.draft_model, arm.gamma, *map(float, numbers)) for arm, *numbers in columns)


class AdaptivePolicy:
    """Budgeted Thompson sampling over (draft, γ, plain): acceptance is drawn, cost is known (POLICY.md, "Decision")."""

    def __init__(self, settings: PolicySettings, classes: tuple[str, ...], seed: int) -> None:
        self._settings = settings
        self._table = HazardTable(classes, settings)
        self._random = np.random.default_rng(seed)

    def decide(self, context: DecisionContext) -> Plan:
        """Draw every hazard once and take the arm whose goodput is best; many draws more say how sure that is."""
        allowed = choice(context, self._settings.max_gamma)
        drafts = allowed.drafts if allowed.gammas else ()
        if not drafts:
            return Plan(policy="adaptive", policy_version=VERSION)
        regime = Regime(context.sampled, context.coupled)
        beliefs = {draft: self._table.beliefs(regime, draft, context.class_probabilities) for draft in drafts}
        scored = self._score(context, allowed, beliefs)
        winners = scored.drawn.argmax(axis=1)
        played = int(winners[0])
        arm = scored.arms[played]
        return Plan(
            draft_model=arm.draft_model,
            gamma=arm.gamma,
            max_gamma=allowed.gammas[-1],
            pinned=allowed.pinned,
            candidates=tuple(Candidate(draft, beliefs[draft]) for draft in drafts),
            seed=int(self._random.integers(1 << 63)),
            explored=played != int(scored.expected.argmax()),
            propensity=float((winners == played).mean()),
            policy="adaptive",
            policy_version=VERSION,
            scores=scored.records(),
        )

    def observe(self, observation: Observation) -> None:
        """Learn from one round; plain ones say nothing about drafts."""
        regime = Regime(observation.sampled, observation.coupled)
        if observation.round.draft_model != NO_DRAFT:
            self._table.observe(regime, observation.class_probabilities, observation.round)

    def _score(self, context: DecisionContext, allowed: Choice, beliefs: dict[str, tuple[Beta, ...]]) -> _Scored:
        costs = CostModel(context.costs)
        rows, at = context.running_rows + 1, context.prompt_tokens + context.expected_tokens / 2
        arms, drawn, tokens, seconds = [], [], [], []
        if allowed.plain:
            arms.append(_PLAIN)
            drawn.append(np.ones(self._settings.samples))
            tokens.append(1.0)
            seconds.append(costs.verify(rows, at))
        for draft, hazards in beliefs.items():
            a, b = np.array([(h.a, h.b) for h in hazards]).T
            lengths = expected_tokens(self._random.beta(a, b, size=(self._settings.samples, len(a))))
            mean = expected_tokens(a / (a + b))
            spread = costs.prefill(draft, context.prompt_tokens) / max(1, context.expected_tokens)
            for gamma in allowed.gammas:
                known = min(gamma, len(a))  # a caller may pin more than beliefs reach
                arms.append(Arm(draft, gamma))
                drawn.append(lengths[:, known])
                tokens.append(float(mean[known]))
                drafting = costs.draft(Group(draft, rows, gamma), at)
                seconds.append(drafting + costs.verify(rows * (gamma + 1), at) + spread * mean[known])
        by_arm = np.array(seconds)
        return _Scored(arms, np.stack(drawn, axis=1) / by_arm, np.array(tokens) / by_arm, np.array(tokens), by_arm)
