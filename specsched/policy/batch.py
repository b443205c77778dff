"""The rows of one round, seen together: what every shared bound on γ would bring, and cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, pairwise
from math import prod

from specsched.policy.base import Arm
from specsched.policy.cost import TrackedCosts
from specsched.records import NO_DRAFT

PLAIN = Arm(NO_DRAFT, 0)
_ONE_TOKEN = (1.0,)


@dataclass(frozen=True, slots=True)
class Lane:
    """One row's part."""

    draft_model: str = NO_DRAFT
    limit: int = 0
    """Largest γ that it takes; 0 where it cannot draft."""
    pinned: bool = False
    """It plays its limit whatever the bound: its caller said so."""
    tokens: Sequence[float] = _ONE_TOKEN
    """E[tokens of a round | γ], γ from 0 to `limit`. A pinned lane brings the same under every bound: not asked."""

    def gamma(self, bound: int) -> int:
        """Its γ under a bound."""
        return self.limit if self.pinned else min(bound, self.limit)

    def arm(self, bound: int) -> Arm:
        """Its arm under a bound."""
        gamma = self.gamma(bound)
        return Arm(self.draft_model, gamma) if gamma else PLAIN


@dataclass(slots=True)
class _Team:
    """Lanes of one draft: how many draft under any bound, and how many only under one above 0."""

    pinned: int = 0
    pinned_gamma: int = 0
    free: list[Lane] = field(default_factory=list)
    free_limit: int = 0

    def add(self, lane: Lane) -> None:
        if lane.pinned:
            self.pinned, self.pinned_gamma = self.pinned + 1, max(self.pinned_gamma, lane.limit)
        else:
            self.free.append(lane)
            self.free_limit = max(self.free_limit, lane.limit)

    @property
    def rows(self) -> int:
        """Rows that draft under any bound above 0."""
        return self.pinned + len(self.free)

    def nobody(self, shortfalls: Sequence[float], positions: int) -> list[float]:
        """P(no lane drafts position j), j from 1 on, lanes being independent; none is asked for more than its limit.

        A pinned lane is taken to draft all that it was asked for, and so is any of a draft without shortfalls.
        """
        certain = self.pinned_gamma if shortfalls else max(self.pinned_gamma, self.free_limit)
        chances = [float(j >= certain) for j in range(positions)]
        for lane in self.free:
            for j in range(certain, lane.limit):
                chances[j] *= shortfalls[j] * (1 - (lane.tokens[j + 1] - lane.tokens[j]))
        return chances


class Batch:
    """Verification is laid out as rows × (max γ + 1): once one row pays for a position, it is there for all.

    So a round has one lever, the bound c: each row drafts up to it, and c maximises Σ E[N_i] / T (POLICY.md, "Per
    round"). All bounds are worked out at once, in plain Python over few numbers: it runs several times a round.
    """

    def __init__(self, lanes: Sequence[Lane], costs: TrackedCosts, context_tokens: float) -> None:
        self._lanes = lanes
        self._costs = costs
        self._context = context_tokens
        self._teams: dict[str, _Team] = {}
        for lane in lanes:
            if lane.limit:
                team = self._teams.get(lane.draft_model)
                if team is None:
                    team = self._teams[lane.draft_model] = _Team()
                team.add(lane)
        self.highest = max([team.free_limit for team in self._teams.values()], default=0)
        """Largest bound that changes anything."""
        self.seconds = self._seconds()
        """Seconds of the round by bound, from 0 to `highest`, if every draft drafts all that it is asked for."""
        self.expected_seconds = self._expected_seconds()
        """The same with drafts that fall short as often as they are known to."""

    def arms(self, bound: int) -> list[Arm]:
        """Every row's arm under a bound."""
        return [lane.arm(bound) for lane in self._lanes]

    def goodputs(self) -> list[float]:
        """Expected tokens per second by bound, from 0 to `highest`."""
        tokens = [_ONE_TOKEN if lane.pinned else lane.tokens for lane in self._lanes]
        size = self.highest + 1
        if len(tokens) == 1:
            return [t / s for t, s in zip(_reaching(tokens[0], size), self.expected_seconds, strict=False)]
        totals = map(sum, zip(*(_reaching(each, size) for each in tokens), strict=False))
        return [total / seconds for total, seconds in zip(totals, self.expected_seconds, strict=False)]

    def _seconds(self) -> list[float]:
        teams = self._teams.values()
        pinned = max([team.pinned_gamma for team in teams], default=0)
        widths = _longest(pinned, self.highest, self.highest)
        verify = self._costs.verifications(len(self._lanes), widths[-1], self._context)
        seconds = [verify[width] for width in widths]
        for draft, team in self._teams.items():
            if team.pinned:
                seconds[0] += self._costs.drafting(draft, team.pinned, team.pinned_gamma, self._context)
            overhead, step = self._costs.line(draft, team.rows, self._context)  # the same under all other bounds
            gammas = _longest(team.pinned_gamma, team.free_limit, self.highest)
            plain, *drafting = zip(seconds, gammas, strict=True)
            seconds = [plain[0], *(before + (overhead + step * gamma) for before, gamma in drafting)]
        return seconds

    def _expected_seconds(self) -> list[float]:
        """T = T(all drafted) − Σ_{j≤c} (Σ_d P(d drafts no j) · τ_d + P(nobody drafts j) · (V(j + 1) − V(j)))."""
        short = {draft: self._costs.shortfalls.of(draft, self.highest) for draft in self._teams}
        if not any(short.values()):
            return self.seconds
        nobody = {draft: team.nobody(short[draft], self.highest) for draft, team in self._teams.items()}
        verify = self._costs.verifications(len(self._lanes), self.highest, self._context)
        spared = [
            prod(each) * (after - before)
            for each, (before, after) in zip(zip(*nobody.values(), strict=True), pairwise(verify), strict=True)
        ]
        for draft, team in self._teams.items():
            _, step = self._costs.line(draft, team.rows, self._context)
            for j, chance in enumerate(nobody[draft][: team.free_limit]):
                spared[j] += chance * step
        return [seconds - saved for seconds, saved in zip(self.seconds, accumulate(spared, initial=0.0), strict=True)]


def _reaching(tokens: Sequence[float], size: int) -> Sequence[float]:
    """The same up to a size: beyond a lane's own limit nothing more comes."""
    return tokens if len(tokens) >= size else (*tokens, *([tokens[-1]] * (size - len(tokens))))


@lru_cache(1024)
def _longest(pinned: int, free: int, highest: int) -> tuple[int, ...]:
    """By bound, from 0 to `highest`: the longest γ if some play `pinned` whatever it is, and others up to `free`."""
    most = max(pinned, free)
    return ((pinned,) * pinned + (*range(pinned, most),) + (most,) * (highest + 1))[: highest + 1]
