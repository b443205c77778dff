"""Text that repeats itself. Loops flatter n-gram proposers, so they are counted and left out of a second column."""

from collections.abc import Sequence

NGRAM = 4
LOOPING_SHARE = 1 / 3
"""From this share of repeated 4-grams on, a completion counts as looping."""


def repeated_share(completion: Sequence[int]) -> float:
    """Share of a completion's 4-grams that stood in the completion before."""
    grams = [tuple(completion[i : i + NGRAM]) for i in range(len(completion) - NGRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def is_looping(completion: Sequence[int]) -> bool:
    """Whether a completion repeats itself too much to measure drafts on."""
    return repeated_share(completion) >= LOOPING_SHARE
