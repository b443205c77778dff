"""SGLang's adaptive steps: an average of accepted tokens climbs up and down a ladder of γ, with hysteresis.

`speculative_num_steps` since PR 21599, the rung 0 and its threshold as in `AdaptiveStepSlot` of
`adaptive_spec_params.py`. One ladder for all batch sizes; SGLang has one per bracket.

A known trap: nothing is drafted at γ = 0, so the average stands still and nothing leads up again. Without `probes` the
ladder sticks at plain decoding for ever, whatever comes later; SGLang has since learnt to step up blindly after every
interval at 0, which `probes` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from specsched.policy.baselines.lever import BatchView, LeverController
from specsched.policy.baselines.plans import DraftPolicy
from specsched.records import RoundRecord


@dataclass(frozen=True, slots=True)
class EmaSettings:
    """The defaults are SGLang's, but for `probes`."""

    rungs: tuple[int, ...] = (0, 1, 3, 5, 7)
    """The γ that may be played, lowest first."""
    weight: float = 0.2
    """Of the newest round in the average."""
    warmup_rounds: int = 10
    """Rounds before the first move."""
    interval_rounds: int = 5
    """Rounds between two looks at the ladder."""
    up_hysteresis: float = 0.0
    """Accepted tokens beyond γ - ½ that a step up needs."""
    down_hysteresis: float = -0.25
    """Accepted tokens beyond the lower rung's γ - ½ at which a step down is taken."""
    probes: bool = False
    """Whether γ = 0 is left after every interval, to look."""

    def below(self, max_gamma: int) -> tuple[int, ...]:
        """Rungs that a configuration allows."""
        return tuple(rung for rung in self.rungs if rung <= max_gamma)


class Ladder:
    """The present rung, and the average of accepted tokens (bonus not counted) that moves it."""

    def __init__(self, settings: EmaSettings, max_gamma: int) -> None:
        self._settings = settings
        self._rungs = settings.below(max_gamma)
        self._at = len(self._rungs) // 2
        self._accepted = max(0.0, self.gamma - 1.0)
        self._rounds = 0

    @property
    def gamma(self) -> int:
        """γ of the present rung."""
        return self._rungs[self._at]

    def choose(self, batch: BatchView) -> int:  # noqa: ARG002 - the port's
        """Return the present rung."""
        return self.gamma

    def observe(self, records: Sequence[RoundRecord]) -> None:
        """Average over the rows that played the rung in full; look at the ladder once an interval."""
        accepted = [record.num_accepted for record in records if record.planned_gamma == self.gamma > 0]
        if accepted:
            self._accepted += self._settings.weight * (fmean(accepted) - self._accepted)
        self._rounds += 1
        since_warmup = self._rounds - self._settings.warmup_rounds
        if since_warmup > 0 and since_warmup % self._settings.interval_rounds == 0:
            self._at = self._moved()

    def _moved(self) -> int:
        if self.gamma == 0:
            return min(self._at + self._settings.probes, len(self._rungs) - 1)
        lower = self._at
        while lower > 0 and self._accepted <= self._drop_threshold(self._rungs[lower - 1]):
            lower -= 1
        return lower if lower < self._at else self._climbed()

    def _climbed(self) -> int:
        higher = self._at
        while higher < len(self._rungs) - 1 and self._accepted > self._rise_threshold(self._rungs[higher]):
            higher += 1
        return higher

    def _drop_threshold(self, lower: int) -> float:
        """Accepted tokens for which the lower rung is enough; below half a token it is better not to draft at all."""
        return max(0.5, lower - 0.5) + self._settings.down_hysteresis

    def _rise_threshold(self, rung: int) -> float:
        """Accepted tokens for which the rung is too low."""
        return rung - 0.5 + self._settings.up_hysteresis


def ema_policy(draft_model: str, max_gamma: int) -> DraftPolicy:
    """Return the policy: the draft, from the ladder's middle on."""
    return DraftPolicy("ema", draft_model, Ladder(EmaSettings(), max_gamma).gamma, max_gamma)


def ema_controller(max_gamma: int) -> LeverController:
    """Return the round controller: one ladder per worker."""
    return LeverController(Ladder(EmaSettings(), max_gamma))
