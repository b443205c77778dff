"""Texts that ask for nothing: what a classifier should be in doubt about."""

import random
import string

_KEYS = string.ascii_lowercase + "     "
_SIGNS = string.ascii_letters + string.digits + string.punctuation + "  "
_ONSETS = ("b", "br", "d", "dr", "f", "g", "gl", "k", "l", "m", "n", "p", "pl", "s", "sk", "st", "t", "v", "z")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "oo")
_CODAS = ("", "n", "r", "s", "l", "m", "ck", "nd")


def nonsense(count: int, rng: random.Random) -> list[str]:
    """Return `count` texts: keys hit at random, signs at random, invented words, in turn."""
    kinds = (_keys, _signs, _words)
    return [kinds[i % len(kinds)](rng) for i in range(count)]


def _keys(rng: random.Random) -> str:
    return "".join(rng.choices(_KEYS, k=rng.randint(10, 200)))


def _signs(rng: random.Random) -> str:
    return "".join(rng.choices(_SIGNS, k=rng.randint(10, 200)))


def _words(rng: random.Random) -> str:
    return " ".join(_word(rng) for _ in range(rng.randint(3, 40)))


def _word(rng: random.Random) -> str:
    return "".join(rng.choice(part) for _ in range(rng.randint(1, 3)) for part in (_ONSETS, _VOWELS, _CODAS))
