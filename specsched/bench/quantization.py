"""What INT8 changes: where its own speculative tokens leave its plain ones, and how close the two best tokens were.

A difference of 1e-7 between forwards of one position and of several can flip an INT8 code (ENGINE.md, "Numerics"). So
the rate is reported with the gap at each divergence: near ties may fall either way, clear choices should not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from specsched.bench.engine.contender import PLAIN, Contender, Mode
from specsched.bench.reference import Question
from specsched.engine.load import Progress

GAMMA = 4
"""Of the modes that are compared, or the nearest that a draft offers."""

Gap = Callable[[Sequence[int]], float]
"""Prefix → best logit after it - second best."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first token at which two completions differ."""

    question_id: str
    mode: Mode
    position: int
    plain: int | None
    """Token ids; None where a completion ended."""
    speculative: int | None
    gap: float
    """Between the two best logits of plain decoding there."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One mode against plain decoding."""

    mode: Mode
    completions: int
    tokens: int
    """Compared: up to the first difference, that one included."""
    divergences: Sequence[Divergence]

    @property
    def rate(self) -> float:
        """Divergences per compared token."""
        return len(self.divergences) / max(1, self.tokens)


def compare_modes(
    contender: Contender,
    questions: Sequence[Question],
    max_tokens: int,
    gap: Gap,
    say: Progress = lambda _stage: None,
) -> list[Comparison]:
    """Every draft, with one lookahead, against plain decoding."""
    plain = {question.id: contender.answer(question, max_tokens).tokens for question in questions}
    compared = []
    for mode in one_mode_per_draft(contender.modes):
        say(f"INT8: {mode} against plain")
        found, tokens = [], 0
        for question in questions:
            said = contender.answer(question, max_tokens, mode).tokens
            divergence = first_divergence(question, mode, plain[question.id], said, gap)
            tokens += len(said) if divergence is None else divergence.position + 1
            found += [divergence] if divergence else []
        compared.append(Comparison(mode, len(questions), tokens, found))
    return compared


def one_mode_per_draft(modes: Sequence[Mode]) -> list[Mode]:
    """For each draft the mode whose lookahead is nearest to `GAMMA`."""
    nearest: dict[str, Mode] = {}
    for mode in modes:
        if mode == PLAIN:
            continue
        known = nearest.get(mode.draft, mode)
        nearest[mode.draft] = min(known, mode, key=lambda each: abs(each.gamma - GAMMA))
    return list(nearest.values())


def first_divergence(
    question: Question, mode: Mode, plain: Sequence[int], said: Sequence[int], gap: Gap
) -> Divergence | None:
    """Return where two completions part, None where they are equal."""
    if tuple(plain) == tuple(said):
        return None
    both = enumerate(zip(plain, said, strict=False))
    at = next((i for i, (one, other) in both if one != other), min(len(plain), len(said)))
    one, other = (tokens[at] if at < len(tokens) else None for tokens in (plain, said))
    return Divergence(question.id, mode, at, one, other, gap([*question.prompt_ids, *plain[:at]]))
