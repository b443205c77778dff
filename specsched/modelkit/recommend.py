"""The pool and γ bounds to start with, from an evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass

from specsched.modelkit.evaluate import Evaluation
from specsched.modelkit.goodput import headroom
from specsched.modelkit.windows import MAX_GAMMA
from specsched.policy.base import Arm
from specsched.records import NO_DRAFT

WORTH = 0.005
"""A draft stays while the others alone would lose at least this share of goodput."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to put into the manifest and the policy's bounds."""

    drafts: tuple[str, ...]
    """Most valuable first."""
    dropped: Mapping[str, float]
    """Draft → share of goodput that is lost without it."""
    max_gamma: int
    arms: Mapping[str, Arm]
    """Class → arm to begin with (greedy and sampled together)."""
    over_plain: float
    """Predicted goodput of those arms × plain decoding."""


def recommend(evaluation: Evaluation) -> Recommendation:
    """Drop the least useful draft again and again while that costs next to nothing."""
    table = {f"{c}@{t:g}": cell for t in evaluation.temperatures for c, cell in evaluation.goodputs(t).items()}
    kept = list(evaluation.drafts)
    dropped: dict[str, float] = {}

    def value(drafts: list[str]) -> float:
        return headroom(table, lambda arm: arm.draft_model in drafts).per_cell_goodput

    whole = value(kept)
    while kept:
        losses = {draft: 1 - value([d for d in kept if d != draft]) / whole for draft in kept}
        least = min(losses, key=losses.__getitem__)
        if losses[least] > WORTH:
            break
        kept.remove(least)
        dropped[least] = losses[least]
    order = sorted(kept, key=lambda draft: value([d for d in kept if d != draft]))
    found = headroom(table, lambda arm: arm.draft_model in kept)
    longest = max((arm.gamma for arm in found.arms.values()), default=0)
    return Recommendation(
        drafts=tuple(order),
        dropped=dropped,
        max_gamma=min(MAX_GAMMA, longest + 2) if longest else 0,
        arms={name: arm for name, arm in found.arms.items() if arm.draft_model != NO_DRAFT},
        over_plain=found.over_plain,
    )
