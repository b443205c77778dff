"""From rounds and measured step costs to goodput: which arm pays where, and what adapting can gain."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from specsched.errors import SetupError
from specsched.modelkit.windows import MAX_GAMMA, Offers, play
from specsched.policy.base import Arm
from specsched.policy.cost import CostModel, Group
from specsched.records import NO_DRAFT, CostGrid

PLAIN = Arm(NO_DRAFT, 0)
CONTEXT_TOKENS = 256


@dataclass(frozen=True, slots=True)
class RoundCosts:
    """Seconds of a lone row's round: T(d, γ) = o_d + γ·τ_d + V(γ + 1) (POLICY.md, "Cost")."""

    verify: tuple[float, ...]
    """By positions, from 1 on."""
    drafts: Mapping[str, tuple[float, float]]
    """Draft → (o, τ)."""

    def seconds(self, draft: str, offered: int) -> float:
        """Cost of a round that verified so many drafted tokens."""
        overhead, step = self.drafts[draft] if draft != NO_DRAFT else (0.0, 0.0)
        return overhead + offered * step + self.verify[offered]


def round_costs(grid: CostGrid) -> RoundCosts:
    """A lone row's costs at a common context from a profiled grid.

    Raises:
        SetupError: an empty grid; the target's context is too short to be profiled.
    """
    if not grid.verify:
        raise SetupError("the target's context is too short to measure what rounds cost")
    model = CostModel(grid)
    verify = tuple(model.verify(positions, CONTEXT_TOKENS) for positions in range(1, MAX_GAMMA + 2))
    return RoundCosts(verify, {draft.draft_model: _lone(model, draft.draft_model) for draft in grid.drafts})


def _lone(model: CostModel, draft: str) -> tuple[float, float]:
    """(o, τ) of a draft, from rounds of one and two steps."""
    once, twice = (model.draft(Group(draft, 1, gamma), CONTEXT_TOKENS) for gamma in (1, 2))
    return 2 * once - twice, twice - once


Goodputs = Mapping[str, Mapping[Arm, float]]
"""Cell (class) → arm → tokens per second."""


def goodputs(paths: Mapping[str, Mapping[str, Sequence[Offers]]], costs: RoundCosts) -> Goodputs:
    """Predicted goodput of every arm in every cell, from cell → draft → paths."""
    table: dict[str, dict[Arm, float]] = {}
    for cell, drafts in paths.items():
        table[cell] = {PLAIN: 1 / costs.verify[0]}
        for draft, offers in drafts.items():
            for gamma in range(1, MAX_GAMMA + 1):
                table[cell][Arm(draft, gamma)] = _goodput(offers, draft, gamma, costs)
    return table


def _goodput(paths: Sequence[Offers], draft: str, gamma: int, costs: RoundCosts) -> float:
    """A ratio of sums: tokens over seconds."""
    seconds = sum(costs.seconds(draft, one.offered) for path in paths for one in play(path, gamma))
    return sum(map(len, paths)) / seconds


@dataclass(frozen=True, slots=True)
class Headroom:
    """Best static arm per cell against one static arm for all, in hindsight; every cell brings as many tokens."""

    global_arm: Arm
    arms: Mapping[str, Arm]
    global_goodput: float
    per_cell_goodput: float
    plain_goodput: float

    @property
    def gain(self) -> float:
        """Share by which adapting per cell can win."""
        return self.per_cell_goodput / self.global_goodput - 1

    @property
    def over_plain(self) -> float:
        """Best static arm per cell × plain decoding."""
        return self.per_cell_goodput / self.plain_goodput


def headroom(table: Goodputs, allowed: Callable[[Arm], bool] = lambda _: True) -> Headroom:
    """Best arm per cell against the best arm for all, among the allowed ones (plain always is)."""
    arms = [arm for arm in next(iter(table.values())) if arm == PLAIN or allowed(arm)]
    overall = {arm: _harmonic(cell[arm] for cell in table.values()) for arm in arms}
    best = max(arms, key=overall.__getitem__)
    per_cell = {name: max(arms, key=cell.__getitem__) for name, cell in table.items()}
    return Headroom(
        global_arm=best,
        arms=per_cell,
        global_goodput=overall[best],
        per_cell_goodput=_harmonic(table[name][arm] for name, arm in per_cell.items()),
        plain_goodput=overall[PLAIN],
    )


def marginal_goodput(table: Goodputs) -> dict[str, float]:
    """Draft → share of per-cell goodput that is lost without it."""
    drafts = sorted({arm.draft_model for cell in table.values() for arm in cell} - {NO_DRAFT})
    whole = headroom(table).per_cell_goodput
    return {d: 1 - headroom(table, lambda arm, d=d: arm.draft_model != d).per_cell_goodput / whole for d in drafts}  # type: ignore[misc]


def _harmonic(values: Iterable[float]) -> float:
    """Tokens over seconds when every cell brings as many tokens."""
    return 1 / fmean(1 / value for value in values)
