"""A bound on how often a policy plays another arm than the one that it believes to be best."""

from specsched.policy.base import DecisionContext
from specsched.policy.settings import PolicySettings


class Exploration:
    """A bucket of decisions that may explore: it starts full, and every decision puts a share of one in.

    So a young policy, which has everything to learn, may explore at will for a while; over the long run no more than
    the share does. A caller can keep a request out of it.
    """

    def __init__(self, settings: PolicySettings) -> None:
        self._share = settings.exploration_share
        self._cap = settings.exploration_burst if settings.exploration_share else 0.0
        self.left = self._cap
        """Decisions that may still explore."""

    def allows(self, context: DecisionContext) -> bool:
        """Whether this decision may explore."""
        return self.left >= 1 and not context.hint.disable_exploration

    def settle(self, *, explored: bool) -> None:
        """Account for a decision."""
        self.left = min(self._cap, self.left + self._share) - explored
