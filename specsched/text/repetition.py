"""Text that repeats itself or its prompt. Loops flatter n-gram proposers, so they are counted and left out."""

from collections.abc import Sequence

NGRAM = 4
LOOPING_SHARE = 1 / 3
"""From this share of repeated 4-grams on, a completion counts as looping."""
_LOOP = 8
"""Repeated 4-grams in a row that make a loop."""


def repeated_share(completion: Sequence[int]) -> float:
    """Share of a completion's 4-grams that stood in the completion before."""
    grams = _grams(completion)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def is_looping(completion: Sequence[int]) -> bool:
    """Whether a completion repeats itself too much to measure drafts on."""
    return repeated_share(completion) >= LOOPING_SHARE


def loop_start(completion: Sequence[int]) -> int:
    """Where a completion begins to say nothing new: so many 4-grams in a row that stood before; its end otherwise."""
    seen: set[tuple[int, ...]] = set()
    repeats = 0
    for i, gram in enumerate(_grams(completion)):
        repeats = repeats + 1 if gram in seen else 0
        if repeats == _LOOP:
            return i
        seen.add(gram)
    return len(completion)


def copied_share(prompt: Sequence[int], completion: Sequence[int]) -> float:
    """Share of a completion's 4-grams that stand in its prompt."""
    grams, given = _grams(completion), set(_grams(prompt))
    return sum(gram in given for gram in grams) / len(grams) if grams else 0.0


def _grams(tokens: Sequence[int]) -> list[tuple[int, ...]]:
    return [tuple(tokens[i : i + NGRAM]) for i in range(len(tokens) - NGRAM + 1)]
