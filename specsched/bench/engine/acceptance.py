"""Acceptance, class × draft, with the hazard of each position: from rounds that were played anyway (table 3)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from specsched.bench.engine.contender import Contender, Mode
from specsched.bench.reference import Question
from specsched.records import NO_DRAFT, RoundRecord


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One draft on one class."""

    prompt_class: str
    draft: str
    accepted: float
    """Accepted ÷ judged tokens: mean conditional acceptance."""
    length: float
    """Tokens committed per round, bonus included, over rounds that drafted."""
    hazards: tuple[float | None, ...]
    """Acceptance at each position given acceptance before it; None where nothing was judged."""


def measure_acceptance(
    contender: Contender, questions: Mapping[str, Sequence[Question]], max_tokens: int
) -> list[Acceptance]:
    """Let every draft answer with its longest lookahead."""
    longest: dict[str, Mode] = {}
    for mode in contender.modes:
        if mode.draft and mode.gamma >= longest.get(mode.draft, mode).gamma:
            longest[mode.draft] = mode
    return [
        summarise(name, mode.draft, mode.gamma, _rounds(contender, asked, mode, max_tokens))
        for name, asked in questions.items()
        for mode in longest.values()
    ]


def summarise(prompt_class: str, draft: str, gamma: int, rounds: Iterable[RoundRecord]) -> Acceptance:
    """Count what was judged at each position: all accepted ones, and the first rejected."""
    judged, accepted, drafted_rounds, committed = [0] * gamma, [0] * gamma, 0, 0
    for each in rounds:
        if each.draft_model == NO_DRAFT or each.gamma == 0:
            continue
        drafted_rounds += 1
        committed += 1 + each.num_accepted
        rejected = each.num_accepted < each.gamma and not each.censored
        for position in range(each.num_accepted + rejected):
            judged[position] += 1
            accepted[position] += position < each.num_accepted
    return Acceptance(
        prompt_class,
        draft,
        sum(accepted) / max(1, sum(judged)),
        committed / max(1, drafted_rounds),
        tuple(a / j if j else None for a, j in zip(accepted, judged, strict=True)),
    )


def _rounds(contender: Contender, asked: Sequence[Question], mode: Mode, max_tokens: int) -> Iterable[RoundRecord]:
    for question in asked:
        yield from contender.answer(question, max_tokens, mode).rounds
