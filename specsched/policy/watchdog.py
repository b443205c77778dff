"""Whether rounds still cost what they are predicted to (POLICY.md, "Guard": Watchdog)."""

from specsched.policy.settings import PolicySettings

_WELL = 1.05
"""Measured ÷ predicted at which a bound that was halved is doubled again."""


class Watchdog:
    """Compares whole rounds with their prediction; where they cost clearly more, lookaheads are halved."""

    def __init__(self, settings: PolicySettings) -> None:
        self._settings = settings
        self._rounds = 0
        self._measured = 0.0
        self._predicted = 0.0
        self.max_gamma = settings.max_gamma
        """Largest lookahead that it allows."""
        self.profile_wanted = False
        """Whether the costs that predictions come from should be measured anew."""

    def observe(self, measured_seconds: float, predicted_seconds: float) -> None:
        """Take in a round; once enough are in, judge them together."""
        self._rounds += 1
        self._measured += min(measured_seconds, self._settings.watchdog_spike * predicted_seconds)
        self._predicted += predicted_seconds
        if self._rounds < self._settings.watchdog_rounds:
            return
        ratio = self._measured / self._predicted if self._predicted > 0 else 1.0
        self._rounds, self._measured, self._predicted = 0, 0.0, 0.0
        if ratio > self._settings.watchdog_ratio:
            self.max_gamma, self.profile_wanted = max(1, self.max_gamma // 2), True
        elif ratio < _WELL:
            self.max_gamma, self.profile_wanted = min(self._settings.max_gamma, 2 * self.max_gamma), False
