"""Made-up acceptance, for load tests of everything else: rounds cost what they cost, but what they say is invalid."""

from collections.abc import Callable, Sequence

from specsched.engine.noise import Purpose, uniform
from specsched.engine.row import Row
from specsched.engine.verify import Verdict

Told = Callable[[Sequence[Row], Sequence[Sequence[int]], Sequence[Verdict]], Sequence[Verdict]]
"""Has the last word on a round, given each row's drafted tokens and the target's verdict on them."""


def as_judged(
    _rows: Sequence[Row], _drafted: Sequence[Sequence[int]], verdicts: Sequence[Verdict]
) -> Sequence[Verdict]:
    """Leave the last word to the target."""
    return verdicts


class SyntheticAcceptance:
    """Accepts by given rates whatever the target says."""

    def __init__(self, rates: Sequence[float]) -> None:
        """Take the hazard of each position, position 1 first; positions beyond follow the last one."""
        assert rates, "there is a rate for the first position at least"
        self._rates = tuple(rates)

    def __call__(
        self, rows: Sequence[Row], drafted: Sequence[Sequence[int]], verdicts: Sequence[Verdict]
    ) -> list[Verdict]:
        """Overrule the target."""
        return [self._overruled(*each) for each in zip(rows, drafted, verdicts, strict=True)]

    def _overruled(self, row: Row, drafted: Sequence[int], verdict: Verdict) -> Verdict:
        accepted = 0
        while accepted < len(drafted) and self._stands(row, accepted):
            accepted += 1
        return Verdict([*drafted[:accepted], verdict.tokens[-1]], accepted, sound=verdict.sound)

    def _stands(self, row: Row, ahead: int) -> bool:
        rate = self._rates[min(ahead, len(self._rates) - 1)]
        return uniform(row.job.noise_seed, row.position + ahead, Purpose.SYNTHETIC) < rate


def last_word(rates: Sequence[float]) -> Told:
    """Return who has it: the target, unless there are made-up rates."""
    return SyntheticAcceptance(rates) if rates else as_judged
