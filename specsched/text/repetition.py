"""Text that repeats itself or its prompt. Loops flatter n-gram proposers, so they are counted and left out."""

from collections.abc import Sequence

NGRAM = 4
LOOPING_SHARE = 1 / 3
"""From this share of repeated 4-grams on, a completion counts as looping."""
_LOOP = 8
"""Repeated 4-grams in a row that make a loop."""


def repeated_share(completion: Sequence[int]) -> float:
    """Share of a completion's 4-grams that stood in the completion before."""
    found = said_before(completion)
    return sum(found) / len(found) if found else 0.0


def said_before(completion: Sequence[int]) -> list[bool]:
    """Of each 4-gram, whether it stood in the completion before."""
    seen: set[tuple[int, ...]] = set()
    found = []
    for gram in _grams(completion):
        found.append(gram in seen)
        seen.add(gram)
    return found


def is_looping(completion: Sequence[int]) -> bool:
    """Whether a completion repeats itself too much to measure drafts on."""
    return repeated_share(completion) >= LOOPING_SHARE


def loop_start(completion: Sequence[int]) -> int:
    """Where a completion begins to say nothing new: so many 4-grams in a row that stood before; its end otherwise."""
    repeats = 0
    for i, again in enumerate(said_before(completion)):
        repeats = repeats + 1 if again else 0
        if repeats == _LOOP:
            return i
    return len(completion)


def copied_share(prompt: Sequence[int], completion: Sequence[int]) -> float:
    """Share of a completion's 4-grams that stand in its prompt."""
    grams, given = _grams(completion), set(_grams(prompt))
    return sum(gram in given for gram in grams) / len(grams) if grams else 0.0


def _grams(tokens: Sequence[int]) -> list[tuple[int, ...]]:
    return [tuple(tokens[i : i + NGRAM]) for i in range(len(tokens) - NGRAM + 1)]
