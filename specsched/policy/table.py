"""What a policy knows, as a table of arms for people."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from specsched.policy.base import DecisionContext, Policy
from specsched.policy.memory import EVERY_CLASS, Cell
from specsched.records import Beta, ClassProbabilities, CostGrid, Plan

Traffic = Mapping[tuple[str, str], int]
"""(prompt class, draft) → requests."""


@dataclass(frozen=True, slots=True)
class ArmCell:
    """What is known of one class and draft."""

    prompt_class: str
    draft_model: str
    mode: str
    """greedy · sampled · seeded"""
    hazards: tuple[Beta, ...]
    """Belief at each position; empty where nobody knows what rounds cost."""
    rounds: float
    """Seen, discounted."""
    goodput_tokens_per_second: float
    """Predicted at the best γ for a lone request; 0 where nobody knows what rounds cost."""
    traffic_share: float
    """Of the class's requests."""


class Table:
    """Asks a copy of the policy, so that looking changes nothing. Made on the event loop, read on a thread."""

    def __init__(self, policy: Policy, cells: Sequence[Cell], costs: CostGrid | None, traffic: Traffic) -> None:
        """Take what is known now.

        Args:
            policy: In force.
            cells: Its evidence.
            costs: Of a worker; None while none is ready.
            traffic: Requests by class and draft.
        """
        self._policy = copy.deepcopy(policy)
        self._cells = tuple(cell for cell in cells if cell.prompt_class != EVERY_CLASS)
        self._costs = costs if costs is not None and costs.verify else None
        self._traffic = dict(traffic)

    def rows(self) -> tuple[ArmCell, ...]:
        """One per class, draft and mode that was seen, in this order."""
        return tuple(sorted(self._rows(), key=lambda row: (row.prompt_class, row.draft_model, row.mode)))

    def _rows(self) -> Iterator[ArmCell]:
        seen = {(cell.sampled, cell.coupled, cell.prompt_class) for cell in self._cells}
        for sampled, coupled, prompt_class in seen:
            own = [c for c in self._cells if (c.sampled, c.coupled, c.prompt_class) == (sampled, coupled, prompt_class)]
            drafts = tuple(sorted({cell.draft_model for cell in own}))
            plan = self._plan(prompt_class, drafts, sampled=sampled, coupled=coupled)
            for draft in drafts:
                yield ArmCell(
                    prompt_class=prompt_class,
                    draft_model=draft,
                    mode="greedy" if not sampled else "seeded" if coupled else "sampled",
                    hazards=next((each.hazards for each in plan.candidates if each.draft_model == draft), ()),
                    rounds=sum(c.accepted + c.rejected for c in own if c.draft_model == draft and c.position == 1),
                    goodput_tokens_per_second=_best(plan, draft),
                    traffic_share=self._share(prompt_class, draft),
                )

    def _plan(self, prompt_class: str, drafts: tuple[str, ...], *, sampled: bool, coupled: bool) -> Plan:
        """What the policy would say of a request that is surely of the class."""
        if self._costs is None:
            return Plan()
        classes = tuple(sorted({cell.prompt_class for cell in self._cells}))
        certain = ClassProbabilities.certain(prompt_class, classes)
        context = DecisionContext(certain, sampled, coupled, drafts, self._costs, explain=True)
        return self._policy.decide(context)

    def _share(self, prompt_class: str, draft: str) -> float:
        requests = sum(count for (of_class, _), count in self._traffic.items() if of_class == prompt_class)
        return self._traffic.get((prompt_class, draft), 0) / requests if requests else 0.0


def _best(plan: Plan, draft: str) -> float:
    goodputs = (score.goodput_tokens_per_second for score in plan.scores if score.draft_model == draft)
    return max(goodputs, default=0.0)
