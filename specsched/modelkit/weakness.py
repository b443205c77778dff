"""Where drafts are weakest, by what a service has recorded."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from specsched.records import AcceptanceRecord

LEAST_TRIED = 100
"""Drafted tokens that were judged, below which nothing is said of a draft in a class."""


@dataclass(frozen=True, slots=True)
class Weakness:
    """A class, and the draft that does best there."""

    prompt_class: str
    draft_model: str
    acceptance: float
    """Mean conditional: accepted tokens over judged ones. What stands behind a rejection was never judged."""
    tried: int


def weaknesses(
    records: Iterable[AcceptanceRecord], drafts: Iterable[str], least_tried: int = LEAST_TRIED
) -> list[Weakness]:
    """Classes by the acceptance of their best draft, weakest first.

    Args:
        records: Of a service.
        drafts: Ids that count: those that can be trained.
        least_tried: Judged tokens that a draft needs in a class.
    """
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    known = frozenset(drafts)
    for record in records:
        played = record.round
        if played.draft_model in known:
            cell = counts[record.decision.class_probabilities.best, played.draft_model]
            cell[0] += played.num_accepted
            cell[1] += played.num_accepted + (played.num_accepted < played.gamma and not played.censored)
    best: dict[str, Weakness] = {}
    for one in _measured(counts, least_tried):
        if one.prompt_class not in best or one.acceptance > best[one.prompt_class].acceptance:
            best[one.prompt_class] = one
    return sorted(best.values(), key=lambda one: (one.acceptance, one.prompt_class))


def _measured(counts: Mapping[tuple[str, str], list[int]], least_tried: int) -> Iterable[Weakness]:
    for (prompt_class, draft), (accepted, tried) in sorted(counts.items()):
        if tried >= least_tried:
            yield Weakness(prompt_class, draft, accepted / tried, tried)
