"""All arms side by side: what each brings and costs, as arrays over draft × γ, plain decoding last."""

from dataclasses import dataclass, replace

import numpy as np

from specsched.policy.base import Arm, DecisionContext
from specsched.policy.beliefs import Array, Beliefs, expected_tokens
from specsched.policy.cost import STRETCH, CostModel
from specsched.policy.hint import Choice
from specsched.policy.shortfalls import Shortfalls
from specsched.records import NO_DRAFT, ArmScore

_LOW, _HIGH = 0.05, 0.95

_KNOWN_PRICES = 1024

_NEVER: Array = np.empty(0)
"""Falls any draft short."""


@dataclass(frozen=True, slots=True)
class Price:
    """Seconds of a round."""

    rounds: Array
    """If every draft drafts all that it is asked for, without its prefill, [D, Γ]."""
    positions: Array
    """What drafting and verifying each position adds, [D, largest γ]."""
    prefill_per_token: Array
    """The draft's prefill of the prompt, spread over the tokens that the completion should come to, [D]."""
    plain: float
    rows: int
    shortfalls: Array
    """ψ, [D, largest γ], or [0] where no draft ever fell short."""

    def seconds(self, tokens: Array, survival: Array) -> Array:
        """Seconds of a round, its share of the prefill included, [D, Γ].

        Args:
            tokens: That it commits, [D, Γ].
            survival: P(the first j tokens are drafted and accepted), [D, J].
        """
        return self.rounds - self._spared(survival) + self.prefill_per_token[:, None] * tokens

    def _spared(self, survival: Array) -> Array | float:
        """Seconds of positions that no row is expected to draft, [D, Γ]; each row as if it were the one asked for."""
        if not self.shortfalls.size:
            return 0.0
        failing = 1 - survival.take(range(self.positions.shape[1]), axis=1, mode="clip")
        nobody = (self.shortfalls * failing) ** self.rows
        return np.asarray(np.cumsum(nobody * self.positions, axis=1)[:, -self.rounds.shape[1] :])


class Prices:
    """Prices by one worker's costs. Contexts within a stretch are priced alike: most prices are known already."""

    def __init__(self, costs: CostModel, shortfalls: Shortfalls) -> None:
        self._costs = costs
        self._shortfalls = shortfalls
        self._known: dict[tuple[tuple[str, ...], range, int, int], Price] = {}

    def of(self, drafts: tuple[str, ...], allowed: Choice, context: DecisionContext) -> Price:
        """Price every arm in the batch that is there, as if all its rows played it."""
        rows = context.running_rows + 1
        stretch = round((context.prompt_tokens + context.expected_tokens / 2) / STRETCH)
        key = (drafts, allowed.gammas, rows, stretch)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _KNOWN_PRICES:
                self._known.clear()
            found = self._known[key] = self._price(drafts, allowed, rows, float(stretch * STRETCH))
        prefill = context.prompt_tokens / max(1, context.expected_tokens)
        shortfalls = self._short(drafts, allowed.gammas[-1])
        return replace(found, prefill_per_token=found.prefill_per_token * prefill, shortfalls=shortfalls)

    def _short(self, drafts: tuple[str, ...], positions: int) -> Array:
        known = [self._shortfalls.of(draft, positions) for draft in drafts]
        return np.array([each or (0.0,) * positions for each in known]) if any(known) else _NEVER

    def _price(self, drafts: tuple[str, ...], allowed: Choice, rows: int, at: float) -> Price:
        lines = np.array([self._costs.draft_line(draft, rows, at) for draft in drafts])  # [D, 2]
        verify = np.array(self._costs.verify_widths(rows, allowed.gammas[-1], at))
        prefill = np.array([self._costs.prefill(draft, 1) for draft in drafts])
        drafting = lines[:, :1] + lines[:, 1:] * np.array(allowed.gammas)
        rounds = drafting + verify[allowed.gammas[0] :]
        return Price(rounds, lines[:, 1:] + np.diff(verify), prefill, self._costs.verify(rows, at), rows, _NEVER)


class Arms:
    """Every arm that a request may play, numbered draft by draft, γ by γ, plain decoding last where it is allowed."""

    def __init__(self, beliefs: Beliefs, allowed: Choice, price: Price) -> None:
        self._beliefs = beliefs
        self._allowed = allowed
        first, last, reach = allowed.gammas[0], allowed.gammas[-1], beliefs.a.shape[1]
        # A caller may pin a γ beyond the last position that beliefs reach.
        self._columns = slice(first, last + 1) if last <= reach else [min(gamma, reach) for gamma in allowed.gammas]
        lengths = expected_tokens(beliefs.means)  # [D, J + 1]
        self._tokens = lengths[:, self._columns]  # [D, Γ]
        self._seconds = price.seconds(self._tokens, np.diff(lengths))
        self._plain = np.array([1.0 / price.plain] if allowed.plain else [])
        self.expected: Array = self._flat(self._tokens[None])[0]
        """Expected goodput, [A], tokens per second."""

    def draw(self, random: np.random.Generator, samples: int, boldness: float) -> Array:
        """Goodput of every arm under hazards drawn from the beliefs, [S, A]."""
        return self._flat(self._lengths(self._beliefs.draw(random, samples, boldness)))

    def arm(self, index: int) -> Arm:
        """The arm of a number."""
        draft, gamma = divmod(index, len(self._allowed.gammas))
        if draft == len(self._beliefs.drafts):
            return Arm(NO_DRAFT, 0)
        return Arm(self._beliefs.drafts[draft], self._allowed.gammas[gamma])

    def promising(self) -> list[str]:
        """Drafts by the goodput expected of their best γ, best first."""
        best = self.expected[: self._seconds.size].reshape(self._seconds.shape).max(axis=1)
        return [self._beliefs.drafts[index] for index in np.argsort(-best).tolist()]

    def scores(self, drawn: Array) -> tuple[ArmScore, ...]:
        """Say of every arm what it promises, with the 5 % and 95 % quantiles of the draws."""
        low, high = np.quantile(drawn, (_LOW, _HIGH), axis=0)
        tokens = np.concatenate((self._tokens.ravel(), np.ones(len(self._plain))))
        columns = zip(self.expected, low, high, tokens, tokens / self.expected, strict=True)
        return tuple(self._score(index, *map(float, numbers)) for index, numbers in enumerate(columns))

    def _score(self, index: int, *numbers: float) -> ArmScore:
        arm = self.arm(index)
        return ArmScore(arm.draft_model, arm.gamma, *numbers)

    def _lengths(self, hazards: Array) -> Array:
        """E[tokens of a round] per arm that speculates, [..., D, Γ]."""
        return np.asarray(expected_tokens(hazards)[..., self._columns])

    def _flat(self, tokens: Array) -> Array:
        """Goodput by arm's number, [S, A]."""
        samples, speculating = len(tokens), self._seconds.size
        goodput = np.empty((samples, speculating + len(self._plain)))
        goodput[:, :speculating] = (tokens / self._seconds).reshape(samples, speculating)
        goodput[:, speculating:] = self._plain
        return goodput
