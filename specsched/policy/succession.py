"""Rows keep the round controller of the settings that they began with, while others begin under new ones.

The settings of a worker's rounds travel with each plan: a worker that restarts, or serves several schedulers, needs to
be told nothing. While two settings are in force each controller sees its own rows alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from specsched.policy.base import Arm, Guarded, Heir, Retrospective, RoundController, RowView, Watchful
from specsched.records import CostGrid, Counterfactual, Plan, RoundRecord

MakeController = Callable[[str], RoundController]
"""From a plan's `round_settings`; empty ones are the worker's own."""


@dataclass(eq=False, slots=True)
class _Reign:
    """One controller and the rows that follow it."""

    controller: RoundController
    rows: set[str] = field(default_factory=set)


class Succession:
    """A round controller made of one per settings. The newest inherits what the one before has learnt of its worker."""

    def __init__(self, make: MakeController) -> None:
        """Begin with the worker's own settings."""
        self._make = make
        self._newest = ""
        self._reigns = {"": _Reign(make(""))}
        self._of_row: dict[str, _Reign] = {}
        self._vetoes_before = 0

    @property
    def credits(self) -> Mapping[str, float]:
        """What the newest controller's accounts hold, in tokens, by tenant."""
        newest = self._reigns[self._newest].controller
        return newest.credits if isinstance(newest, Guarded) else {}

    @property
    def vetoes(self) -> int:
        """Rounds in which any controller's accounts forbade speculation."""
        return self._vetoes_before + sum(_vetoes(reign.controller) for reign in self._reigns.values())

    @property
    def profile_wanted(self) -> bool:
        """Whether any controller wants costs measured anew."""
        return any(each.profile_wanted for each in self._watchful())

    def reprice(self, costs: CostGrid) -> None:
        """Tell every controller; one that comes later inherits it."""
        for each in self._watchful():
            each.reprice(costs)

    def begin(self, request_id: str, plan: Plan, *, sampled: bool) -> None:
        """Take a row with its plan, under its plan's settings."""
        reign = self._of_row[request_id] = self._reign(plan.round_settings)
        reign.rows.add(request_id)
        reign.controller.begin(request_id, plan, sampled=sampled)

    def choose(self, rows: Sequence[RowView]) -> list[Arm]:
        """Have every controller choose for its own rows."""
        chosen: dict[str, Arm] = {}
        for reign in self._reigns.values():
            own = [row for row in rows if row.request_id in reign.rows]
            if own:
                chosen.update(zip((row.request_id for row in own), reign.controller.choose(own), strict=True))
        return [chosen[row.request_id] for row in rows]

    def observe(self, request_id: str, round_record: RoundRecord) -> None:
        """Learn from the row's round."""
        self._of_row[request_id].controller.observe(request_id, round_record)

    def rivals(self, request_id: str, context_tokens: int) -> tuple[str, ...]:
        """Ask the row's controller."""
        reign = self._of_row.get(request_id)
        asked = reign.controller if reign else None
        return asked.rivals(request_id, context_tokens) if isinstance(asked, Retrospective) else ()

    def looked_back(self, request_id: str, context_tokens: int, seconds: float, outcome: Counterfactual) -> None:
        """Tell the row's controller."""
        told = self._of_row[request_id].controller
        if isinstance(told, Retrospective):
            told.looked_back(request_id, context_tokens, seconds, outcome)

    def end(self, request_id: str) -> None:
        """Forget a row, and settings that nobody follows any more."""
        reign = self._of_row.pop(request_id, None)
        if reign is not None:
            reign.rows.discard(request_id)
            reign.controller.end(request_id)
            self._retire()

    def _watchful(self) -> Iterator[Watchful]:
        return (reign.controller for reign in self._reigns.values() if isinstance(reign.controller, Watchful))

    def _reign(self, settings: str) -> _Reign:
        if settings not in self._reigns:
            controller, before = self._make(settings), self._reigns[self._newest].controller
            if isinstance(controller, Heir):
                controller.inherit(before)
            self._reigns[settings] = _Reign(controller)
        self._newest = settings
        self._retire()
        return self._reigns[settings]

    def _retire(self) -> None:
        for settings in [each for each, reign in self._reigns.items() if not reign.rows and each != self._newest]:
            self._vetoes_before += _vetoes(self._reigns.pop(settings).controller)


def _vetoes(controller: RoundController) -> int:
    return controller.vetoes if isinstance(controller, Guarded) else 0
