"""Never slower than plain decoding by more than x: a credit of tokens (POLICY.md, "Guard")."""

from specsched.policy.settings import PolicySettings


class Guard:
    """Z ← Z + Σ N_i − b(1 − x)·T/T_plain(b). Belongs to a worker and outlives its requests.

    A speculative round is allowed while Z covers its worst case, one token a row. A plain round is as fast as plain
    decoding whatever it measures, so it earns x a row, and speculation is never disabled for good. Z has a floor:
    a stall of the machine is nobody's guess, and must not forbid speculation for hours.
    """

    def __init__(self, settings: PolicySettings) -> None:
        self._keep = 1 - settings.slowdown
        self._cap = settings.guard_cap_tokens
        self._floor = -settings.guard_start_tokens
        self.credit = settings.guard_start_tokens
        """Z, in tokens."""

    def inherit(self, credit: float) -> None:
        """Go on with the credit of a guard of other settings, within this one's bounds."""
        self.credit = max(self._floor, min(self._cap, credit))

    def allows(self, rows: int, slowness: float) -> bool:
        """Whether a round that costs `slowness` × a plain one may be played."""
        return self.credit + rows - rows * self._keep * slowness >= 0

    def covers(self, rows: int, slowness: float) -> bool:
        """Whether the credit pays for work that brings no token and takes `slowness` × a plain round's time."""
        return self.credit >= rows * self._keep * slowness

    def settle(self, rows: int, tokens: int, slowness: float) -> None:
        """Account for a round that committed so many tokens and took `slowness` × the plain one's time, 1 if plain."""
        credit = self.credit + tokens - rows * self._keep * slowness
        self.credit = max(self._floor, min(self._cap, credit))
