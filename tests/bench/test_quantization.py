from dataclasses import dataclass, field

import pytest

from specsched.bench.engine.contender import PLAIN, Answer, Mode
from specsched.bench.quantization import compare_modes, one_mode_per_draft
from specsched.bench.reference import Question

ASKED = [Question(f"q{i}", "code", (7, 7, i)) for i in range(3)]
SAME, OTHER = Mode("draft", "same", 4), Mode("lookup", "other", 4)


@dataclass(eq=False)
class Told:
    """Says in each mode what it was told, else the same three tokens."""

    said: dict[Mode, dict[str, tuple[int, ...]]]
    modes: tuple[Mode, ...] = (PLAIN, SAME, OTHER)
    name: str = "told"
    asked: list[tuple[int, ...]] = field(default_factory=list)

    def answer(self, question, max_tokens, mode=PLAIN):
        return Answer(self.said.get(mode, {}).get(question.id, (1, 2, 3)), 1.0)

    def gap(self, prefix):
        self.asked.append(tuple(prefix))
        return 0.25


def test_equal_tokens_do_not_diverge():
    contender = Told({})
    compared = compare_modes(contender, ASKED, 3, contender.gap)
    assert [(each.mode, each.completions, each.tokens, each.rate) for each in compared] == [
        (SAME, 3, 9, 0),
        (OTHER, 3, 9, 0),
    ]
    assert not contender.asked


def test_the_first_difference_is_told_with_the_gap_before_it():
    contender = Told({OTHER: {"q1": (1, 5, 3), "q2": (1, 2)}})
    same, other = compare_modes(contender, ASKED, 3, contender.gap)
    assert same.rate == 0
    assert [(d.question_id, d.position, d.plain, d.speculative, d.gap) for d in other.divergences] == [
        ("q1", 1, 2, 5, 0.25),
        ("q2", 2, 3, None, 0.25),
    ]
    assert contender.asked == [(7, 7, 1, 1), (7, 7, 2, 1, 2)]
    assert other.rate == pytest.approx(2 / (3 + 2 + 3))


def test_every_draft_is_compared_once_with_a_usual_lookahead():
    modes = [PLAIN, *(Mode("draft", name, gamma) for name in "ab" for gamma in (2, 5, 6)), Mode("lookup", "n", 8)]
    assert one_mode_per_draft(modes) == [Mode("draft", "a", 5), Mode("draft", "b", 5), Mode("lookup", "n", 8)]
