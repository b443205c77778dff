"""When completions end by themselves: what a caller allows is seldom what a row has left."""

import math

_PRIOR_ENDINGS, _PRIOR_TOKENS = 1.0, 256.0
"""Taken as seen, always."""
_KEPT = 0.99
"""What is left of the evidence after a completion."""


class Endings:
    """One rate of endings per token, λ, for all rows of a worker, by discounted counts.

    A completion that its limit cuts brings tokens and no ending, so that short limits make none look short.
    """

    def __init__(self) -> None:
        self._endings = self._tokens = 0.0

    def observe(self, tokens: int, *, cut: bool) -> None:
        """Take in a completion, and whether its limit cut it."""
        self._endings = _KEPT * self._endings + (not cut)
        self._tokens = _KEPT * self._tokens + tokens

    def expected(self, remaining_tokens: int) -> float:
        """E[tokens until the end or the limit]: ∫ e^(−λt) dt over what the limit leaves."""
        rate = (self._endings + _PRIOR_ENDINGS) / (self._tokens + _PRIOR_TOKENS)
        return -math.expm1(-rate * remaining_tokens) / rate
