"""Policies that never adapt: plain decoding, and one arm for everybody."""

from specsched.policy.base import DecisionContext, Observation
from specsched.policy.hint import choice
from specsched.records import Plan


class PlainPolicy:
    """Never speculates, whatever the hint."""

    def decide(self, context: DecisionContext) -> Plan:  # noqa: ARG002 - the port's
        """Return plain decoding."""
        return Plan(policy="plain")

    def observe(self, observation: Observation) -> None:
        """Nothing to learn."""


class FixedPolicy:
    """One draft and one γ for every request; a caller's hint goes before them."""

    def __init__(self, draft_model: str, gamma: int) -> None:
        self._draft_model = draft_model
        self._gamma = gamma

    def decide(self, context: DecisionContext) -> Plan:
        """Return the arm, as far as the hint and the active drafts allow it."""
        allowed = choice(context, self._gamma)
        usable = self._draft_model in allowed.drafts or context.hint.draft_model is not None
        if not allowed.gammas or not usable or not allowed.drafts:
            return Plan(policy="fixed")
        draft = self._draft_model if self._draft_model in allowed.drafts else allowed.drafts[0]
        gamma = allowed.gammas[-1]
        return Plan(draft_model=draft, gamma=gamma, max_gamma=gamma, policy="fixed")

    def observe(self, observation: Observation) -> None:
        """Nothing to learn."""
