"""Made-up acceptance, for load tests of everything else: rounds cost what they cost, but what they say is invalid."""

from collections.abc import Sequence

from torch import Tensor

from specsched.engine.noise import Purpose, uniform
from specsched.engine.proposers.base import Draft
from specsched.engine.row import Row
from specsched.engine.verify import Verdict, verify


class SyntheticVerifier:
    """Verifies, and then accepts by given rates whatever the target says."""

    def __init__(self, rates: Sequence[float]) -> None:
        """Take the hazard of each position, position 1 first; positions beyond follow the last one."""
        assert rates, "there is a rate for the first position at least"
        self._rates = tuple(rates)

    def __call__(self, logits: Sequence[Tensor], rows: Sequence[Row], drafts: Sequence[Draft]) -> list[Verdict]:
        """Judge every row's draft; arguments as in `verify`."""
        verdicts = verify(logits, rows, drafts)
        return [self._told(*each) for each in zip(rows, drafts, verdicts, strict=True)]

    def _told(self, row: Row, draft: Draft, verdict: Verdict) -> Verdict:
        accepted = 0
        while accepted < len(draft.tokens) and self._stands(row, accepted):
            accepted += 1
        return Verdict([*draft.tokens[:accepted], verdict.tokens[-1]], accepted)

    def _stands(self, row: Row, ahead: int) -> bool:
        rate = self._rates[min(ahead, len(self._rates) - 1)]
        return uniform(row.job.noise_seed, row.position + ahead, Purpose.SYNTHETIC) < rate
