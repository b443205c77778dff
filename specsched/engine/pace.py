"""How much of the prompts a step takes in beside rows that decode: as much as they hardly notice."""

SHARE = 0.7
"""Time of a step's stretch of prompts ÷ time of its round: keeps a running row's time per token below twice its own."""

LEAST_POSITIONS = 4
"""A forward costs its weights' way through memory whatever it takes in: less would not be cheaper."""

_FIRST_POSITIONS = 16
_RATE = 0.2
_STEP_DOWN, _STEP_UP = 0.5, 1.5
_FIRST_TOKENS_PER_SECOND = 500.0


class Pace:
    """Follows measured times: no model of the machine is needed, and none goes stale."""

    def __init__(self, most: int) -> None:
        """Begin carefully.

        Args:
            most: Positions that a step takes in when no row decodes, and never more.
        """
        self._most = most
        self._positions = float(min(_FIRST_POSITIONS, most))
        self._round_seconds: float | None = None
        self.tokens_per_second = _FIRST_TOKENS_PER_SECOND
        """Speed of taking in."""

    def positions(self, *, beside: bool) -> int:
        """Return how many positions the next step may lay out; `beside` rows that decode."""
        return max(1, min(self._most, max(LEAST_POSITIONS, int(self._positions)))) if beside else self._most

    def observe_round(self, seconds: float) -> None:
        """Learn what a round takes."""
        known = self._round_seconds
        self._round_seconds = seconds if known is None else known + _RATE * (seconds - known)

    def observe_prefill(self, positions: int, seconds: float, *, beside: bool) -> None:
        """Learn what a stretch took, and go faster or slower."""
        seconds = max(seconds, 1e-9)
        self.tokens_per_second += _RATE * (positions / seconds - self.tokens_per_second)
        if beside and self._round_seconds is not None:
            factor = SHARE * self._round_seconds / seconds
            bounded = min(_STEP_UP, max(_STEP_DOWN, factor))
            self._positions = min(self._most, max(LEAST_POSITIONS, positions * bounded))
