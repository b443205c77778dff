"""Whether rounds still cost what they are predicted to (POLICY.md, "Guard": Watchdog)."""

from statistics import median

from specsched.policy.settings import PolicySettings

_WELL = 1.05
"""Measured ÷ predicted at which a bound that was halved is doubled again."""


class Watchdog:
    """Compares whole rounds with their prediction; where they cost clearly more, lookaheads are halved.

    It is the median round that counts: on a busy machine many rounds take several times as long as most, and shorter
    lookaheads would not help against that.
    """

    def __init__(self, settings: PolicySettings) -> None:
        self._settings = settings
        self._ratios: list[float] = []
        self.max_gamma = settings.max_gamma
        """Largest lookahead that it allows."""
        self.profile_wanted = False
        """Whether the costs that predictions come from should be measured anew."""

    def observe(self, measured_seconds: float, predicted_seconds: float) -> None:
        """Take in a round; once enough are in, judge them together."""
        self._ratios.append(measured_seconds / predicted_seconds if predicted_seconds > 0 else 1.0)
        if len(self._ratios) < self._settings.watchdog_rounds:
            return
        ratio = median(self._ratios)
        self._ratios.clear()
        if ratio > self._settings.watchdog_ratio:
            self.max_gamma, self.profile_wanted = max(1, self.max_gamma // 2), True
        elif ratio < _WELL:
            self.max_gamma, self.profile_wanted = min(self._settings.max_gamma, 2 * self.max_gamma), False
