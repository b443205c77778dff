"""ε-greedy over γ, as ik_llama.cpp tunes it (`--spec-autotune`, common/spec-tuner.cpp).

Its tuner has one grid per setting ("coordinate"), each with means of its own, all told the same tokens per second of a
draft call. Of its coordinates this engine has one, n_max, which is γ from 1 on; p_min and n_min stop within a round.
Plain decoding is not in the grid: where no draft pays, it pays all the same.
"""

from collections.abc import Sequence
from random import Random

from specsched.policy.baselines.lever import BatchView, LeverController
from specsched.policy.baselines.plans import DraftPolicy
from specsched.records import RoundRecord

EPSILON = 0.15
WEIGHT = 0.05
"""Of the newest round in the average speed."""
DROP = 0.3
"""Share below that average at which a round is low."""
LOW_ROUNDS = 30
"""Low rounds in a row after which all is forgotten: the task must have changed."""
COOLDOWN_ROUNDS = 50
"""Rounds after that in which none counts as low."""
LEAST = 1


class EpsilonGreedy:
    """The mean speed of every γ, and whether it still holds."""

    def __init__(self, max_gamma: int, seed: int) -> None:
        self._random = Random(seed)
        self._max_gamma = max_gamma
        self._cooldown = 0
        self._forget()

    def _forget(self) -> None:
        self._means: dict[int, float] = {}
        self._pulls = dict.fromkeys(range(LEAST, self._max_gamma + 1), 0)
        self._best = self._played = LEAST
        self._average = 0.0
        self._low = 0

    def choose(self, batch: BatchView) -> int:  # noqa: ARG002 - the port's
        """Return the best γ so far; now and then any."""
        explores = self._random.random() < EPSILON
        self._played = self._random.randint(LEAST, self._max_gamma) if explores else self._best
        return self._played

    def observe(self, records: Sequence[RoundRecord]) -> None:
        """Reward γ with the round's tokens per second; forget all when speed has dropped for good."""
        drafting = {record.draft_model: record.propose_seconds for record in records}
        seconds = sum(drafting.values()) + max(record.verify_seconds for record in records)
        if seconds <= 0:
            return
        speed = sum(record.num_accepted + 1 for record in records) / seconds
        self._reward(speed)
        self._watch(speed)

    def _reward(self, speed: float) -> None:
        self._pulls[self._played] += 1
        mean = self._means.get(self._played, 0.0)
        self._means[self._played] = mean + (speed - mean) / self._pulls[self._played]
        self._best = max(self._means, key=lambda gamma: self._means[gamma])

    def _watch(self, speed: float) -> None:
        low = not self._cooldown and speed < (1 - DROP) * self._average
        self._cooldown = max(0, self._cooldown - 1)
        self._low = self._low + 1 if low else 0
        if self._low >= LOW_ROUNDS:
            self._forget()
            self._cooldown = COOLDOWN_ROUNDS
        else:
            self._average += (WEIGHT if self._average else 1.0) * (speed - self._average)


def epsilon_greedy_policy(draft_model: str, max_gamma: int) -> DraftPolicy:
    """Return the policy: the draft, from the grid's first γ on."""
    return DraftPolicy("epsilon_greedy", draft_model, LEAST, max_gamma)


def epsilon_greedy_controller(max_gamma: int, seed: int) -> LeverController:
    """Return the round controller: one grid per worker."""
    return LeverController(EpsilonGreedy(max_gamma, seed))
