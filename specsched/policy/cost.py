"""What rounds cost: T = Σ_d (o_d + γ_d · τ_d(b_d, ℓ)) + V(n, ℓ) over a profiled grid, tracked as rounds go by."""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from specsched.policy.shortfalls import Shortfalls
from specsched.records import CostGrid, CostPoint, DraftCost

NOMINAL_STEP = 0.1
"""Where nothing was profiled: a verification is the unit, a draft's step a tenth of it."""

STRETCH = 32
"""Tokens of context that cost the same."""

_REMEMBERED = 4096
"""Numbers that a model keeps of each kind."""

_RATE = 0.05
_REMEMBERED_ROUNDS = round(2 / _RATE) - 2
"""Rounds that an average of this rate goes back."""
_SLOW_RATE = 0.01
_POINT_ERROR = 0.03
"""Standard deviation of a profiled point, and of one round's time, relative."""
_SURE = 2.0
"""Standard deviations that make sure."""
_OFF = 0.1
"""How far a profiled point may be off by itself; the machine is what is slower beyond that."""
_SURPRISE = 0.25
"""A round counts for no more than this beyond what was expected, either way: spikes are no news of the machine."""
_BOUNDS = (0.2, 5.0)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of a round that one draft serves."""

    draft_model: str
    rows: int
    gamma: int
    """Of the row that asks for most: the others wait for it."""


class CostModel:
    """Seconds of a round, by interpolation in the grid.

    Contexts within a stretch cost the same, so that what a round asks again and again is looked up.
    """

    def __init__(self, grid: CostGrid) -> None:
        by_context = _curves(grid.verify)
        self._contexts = [context for context, _ in by_context]
        self._curves = [curve for _, curve in by_context]
        self._drafts: Mapping[str, DraftCost] = {draft.draft_model: draft for draft in grid.drafts}
        self._verified: dict[tuple[int, int], float] = {}
        self._widths: dict[tuple[int, int, int], list[float]] = {}
        self._lines: dict[tuple[str, int, int], tuple[float, float]] = {}

    def verify(self, positions: int, context_tokens: float) -> float:
        """V(n, ℓ): one forward of the target over n positions as laid out."""
        key = (positions, round(context_tokens / STRETCH))
        found = self._verified.get(key)
        if found is None:
            found = remembered(self._verified, key, self._verify(positions, key[1] * STRETCH))
        return found

    def verify_widths(self, rows: int, widest: int, context_tokens: float) -> list[float]:
        """V(rows · (w + 1), ℓ) by width w, from 0 to `widest`."""
        key = (rows, widest, round(context_tokens / STRETCH))
        found = self._widths.get(key)
        if found is None:
            every = [self.verify(rows * (width + 1), context_tokens) for width in range(widest + 1)]
            found = remembered(self._widths, key, every)
        return found

    def _verify(self, positions: int, context_tokens: float) -> float:
        if not self._curves:
            return 1.0
        contexts, curves = self._contexts, self._curves
        right = bisect_left(contexts, context_tokens)
        if right == 0 or right == len(contexts):
            return _along(curves[min(right, len(contexts) - 1)], positions)
        low, high = contexts[right - 1], contexts[right]
        share = (context_tokens - low) / (high - low)
        return (1 - share) * _along(curves[right - 1], positions) + share * _along(curves[right], positions)

    def draft(self, group: Group, context_tokens: float) -> float:
        """o_d + γ · τ_d(b_d, ℓ)."""
        if group.gamma == 0:
            return 0.0
        overhead, step = self.draft_line(group.draft_model, group.rows, context_tokens)
        return overhead + group.gamma * step

    def draft_line(self, draft_model: str, rows: int, context_tokens: float) -> tuple[float, float]:
        """(o_d, τ_d(b_d, ℓ)): what a round of a draft costs once, and per position."""
        key = (draft_model, rows, round(context_tokens / STRETCH))
        found = self._lines.get(key)
        if found is None:
            found = remembered(self._lines, key, self._line(draft_model, rows, key[2] * STRETCH))
        return found

    def _line(self, draft_model: str, rows: int, context_tokens: float) -> tuple[float, float]:
        cost = self._drafts.get(draft_model)
        if cost is None:
            return 0.0, NOMINAL_STEP * self.verify(1, context_tokens)
        return cost.overhead_seconds, _step(cost.steps, rows, context_tokens)

    def prefill(self, draft_model: str, tokens: int) -> float:
        """Seconds that a draft needs to take in so many tokens."""
        cost = self._drafts.get(draft_model)
        return 0.0 if cost is None else cost.prefill_seconds_per_token * tokens


class Priced:
    """One model per grid: a worker's grid stays the same object until it profiles again."""

    def __init__(self) -> None:
        self._models: dict[str, tuple[CostGrid, CostModel]] = {}

    def of(self, worker_id: str, grid: CostGrid) -> CostModel | None:
        """Return a worker's model; None where it has profiled nothing."""
        known = self._models.get(worker_id)
        if known is None or known[0] is not grid:
            known = self._models[worker_id] = (grid, CostModel(grid))
        return known[1] if grid.verify else None


class TrackedCosts:
    """A cost model with factors learnt from the rounds that really ran.

    The target has one for all verifications, so that plain decoding's cost follows the machine without being played;
    and one for each number of positions, near 1, for what is wrong in the profile of that point. A point off by a few
    per cent must not make plain decoding look slow, for then the guard would allow too much: what a point's own factor
    can hold moves the common one but slowly, and a plain round that was not measured often counts for less.
    """

    def __init__(self, model: CostModel, shortfalls: Shortfalls | None = None) -> None:
        self._model = model
        self.shortfalls = shortfalls or Shortfalls()
        """How often drafts spare a round some of what it was to cost."""
        self._verify = 1.0
        self._points: dict[int, float] = defaultdict(lambda: 1.0)
        self._rounds: dict[int, int] = defaultdict(int)
        self._drafts: dict[str, float] = defaultdict(lambda: 1.0)

    def line(self, draft_model: str, rows: int, context_tokens: float) -> tuple[float, float]:
        """What one draft's part of a round costs once, and per position."""
        overhead, step = self._model.draft_line(draft_model, rows, context_tokens)
        factor = self._drafts[draft_model]
        return factor * overhead, factor * step

    def drafting(self, draft_model: str, rows: int, gamma: int, context_tokens: float) -> float:
        """Seconds of one draft's part of a round that it drafts γ tokens in."""
        overhead, step = self.line(draft_model, rows, context_tokens)
        return overhead + gamma * step

    def verifications(self, rows: int, widest: int, context_tokens: float) -> list[float]:
        """Seconds of the target's part of a round of so many rows by width, from 0 to `widest` drafted tokens."""
        known = self._model.verify_widths(rows, widest, context_tokens)
        common, points = self._verify, self._points
        return [common * points.get(rows * width, 1.0) * seconds for width, seconds in enumerate(known, start=1)]

    def verifying(self, rows: int, width: int, context_tokens: float) -> float:
        """Seconds of the target's part of a round of so many rows, each laid out with `width` drafted tokens."""
        positions = rows * (width + 1)
        return self._factor(positions) * self._model.verify(positions, context_tokens)

    def plain(self, rows: int, context_tokens: float) -> float:
        """Seconds that a plain round takes at least: what a guard compares with, so doubt goes against speculation."""
        doubt = _SURE * _POINT_ERROR / math.sqrt(1 + self._rounds.get(rows, 0))
        return (1 - doubt) * self.verifying(rows, 0, context_tokens)

    def prefill(self, draft_model: str, tokens: int) -> float:
        """Seconds that a draft needs to take in so many tokens."""
        return self._drafts[draft_model] * self._model.prefill(draft_model, tokens)

    def observe_verify(self, rows: int, width: int, context_tokens: float, seconds: float) -> None:
        """Learn from a measured verification."""
        positions = rows * (width + 1)
        predicted, common = self._model.verify(positions, context_tokens), self._verify
        rounds = self._rounds[positions]
        rate = max(_RATE, 1 / (2 + rounds))  # a profiled point tells as much as one round does
        self._rounds[positions] = min(rounds + 1, _REMEMBERED_ROUNDS)
        point = _tracked(self._points[positions], seconds, predicted * common, rate, _OFF)
        held = 1 - _OFF < point < 1 + _OFF
        self._points[positions] = point = min(max(point, 1 - _OFF), 1 + _OFF)
        self._verify = _tracked(common, seconds, predicted * point, _SLOW_RATE if held else _RATE)

    def _factor(self, positions: int) -> float:
        return self._verify * self._points.get(positions, 1.0)

    def observe_draft(self, group: Group, context_tokens: float, seconds: float) -> None:
        """Learn from a measured proposal."""
        factor = self._drafts[group.draft_model]
        self._drafts[group.draft_model] = _tracked(factor, seconds, self._model.draft(group, context_tokens))


Key = TypeVar("Key")
Value = TypeVar("Value")


def remembered(known: dict[Key, Value], key: Key, value: Value) -> Value:
    """Keep a number, and not too many of them."""
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = value
    return value


Curve = tuple[Sequence[int], Sequence[float]]


def _curves(points: Sequence[CostPoint]) -> list[tuple[int, Curve]]:
    """One curve over positions per context length; a context whose profile was cut short is left out.

    A spike is cut: fewer positions never cost more.
    """
    curves: list[tuple[int, Curve]] = []
    for context in sorted({point.context_tokens for point in points}):
        cheapest: dict[int, float] = {}
        for point in sorted((p for p in points if p.context_tokens == context), key=lambda p: -p.positions):
            least = min(point.seconds, *cheapest.values()) if cheapest else point.seconds
            cheapest[point.positions] = least
        curves.append((context, (sorted(cheapest), sorted(cheapest.values()))))
    whole = max((len(positions) for _, (positions, _) in curves), default=0)
    return [(context, curve) for context, curve in curves if len(curve[0]) == whole]


def _along(curve: Curve, positions: int) -> float:
    """Interpolate; beyond the last point go on with the mean slope. Plain Python: it runs many times a round."""
    known, seconds = curve
    right = bisect_left(known, positions)
    if right == 0:
        return seconds[0]
    if right == len(known):
        slope = (seconds[-1] - seconds[0]) / max(1, known[-1] - known[0])
        return seconds[-1] + slope * (positions - known[-1])
    share = (positions - known[right - 1]) / (known[right] - known[right - 1])
    return seconds[right - 1] + share * (seconds[right] - seconds[right - 1])


def _step(steps: Sequence[CostPoint], rows: int, context_tokens: float) -> float:
    """τ(b, ℓ): the first point, plus a slope per row and a slope per context token where they were measured."""
    base = steps[0]
    seconds = base.seconds
    for point in steps[1:]:
        more_rows, more_context = point.positions - base.positions, point.context_tokens - base.context_tokens
        share = (
            (rows - base.positions) / more_rows if more_rows else (context_tokens - base.context_tokens) / more_context
        )
        seconds += max(0.0, share) * max(0.0, point.seconds - base.seconds)
    return seconds


def _tracked(
    factor: float, measured: float, predicted: float, rate: float = _RATE, surprise: float = _SURPRISE
) -> float:
    """Exponential average of measured ÷ predicted, with surprises cut."""
    if predicted <= 0:
        return factor
    ratio = min(max(measured / predicted, (1 - surprise) * factor), (1 + surprise) * factor)
    return min(max((1 - rate) * factor + rate * ratio, _BOUNDS[0]), _BOUNDS[1])
