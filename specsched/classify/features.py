"""Prompt → hashed word n-grams, in numpy alone.

Channels: uni- and bigrams of words, and of stems (a word's first five letters, so that "summarise" and "summary" are
one); stems of the first and of the last line once more, because what an instruction asks for stands at one of the two
ends and the rest is material; and the first one, two and three stems, which mostly are the instruction's verb. Each
channel hashes into its own block of weights (the hashing trick, arXiv 0902.2206) and has a fixed length, so that long
material cannot drown a short instruction. Every digit is a 0: a class is never about which number. The numbers in this
file are part of an artefact's meaning; change one, raise LAYOUT.
"""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

LAYOUT = 3
HEAD_BYTES, TAIL_BYTES = 1200, 400
LINE_CHARACTERS = 160
STEM_BYTES = 5
OPENING_WORDS = 3

Bytes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]

_BASE = np.uint64(0x100000001B3)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_BLANK, _LETTER, _MARK = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Features:
    """One prompt's non-zero features: `buckets` (F,) int64, ascending, and their `values` (F,) float32."""

    buckets: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Channel:
    """A block of `1 << bits` weights from `start`, and the length that a prompt's features have in it."""

    start: int
    bits: int
    length: float

    def features(self, hashes: Hashes) -> Features:
        """Square roots of counts, scaled."""
        buckets, counts = np.unique((hashes >> np.uint64(64 - self.bits)).astype(np.int64), return_counts=True)
        # The length of square roots of counts is the square root of their sum.
        scaled = np.sqrt(counts / max(len(hashes), 1)) * self.length
        return Features(buckets + self.start, scaled.astype(np.float32))


def _channels(*shapes: tuple[int, float]) -> tuple[Channel, ...]:
    starts = accumulate((1 << bits for bits, _ in shapes), initial=0)
    return tuple(Channel(start, *shape) for start, shape in zip(starts, shapes, strict=False))


CHANNELS = _channels((15, 0.7), (15, 0.7), (14, 1.0), (14, 1.0), (12, 0.5))
"""Words, stems, stems of the first line, stems of the last line, opening."""
BUCKETS = sum(1 << channel.bits for channel in CHANNELS)
LENGTH = sum(channel.length**2 for channel in CHANNELS) ** 0.5
"""Of the features of any prompt that has words."""


def extract(text: str) -> Features:
    """Return a prompt's features. Any string will do, the empty one too."""
    words, stems = _words(text)
    hashes = (
        _grams(words),
        _grams(stems),
        _grams(_words(_first_line(text))[1]),
        _grams(_words(_last_line(text))[1]),
        _openings(stems[:OPENING_WORDS]),
    )
    features = [channel.features(grams) for channel, grams in zip(CHANNELS, hashes, strict=True)]
    return Features(np.concatenate([f.buckets for f in features]), np.concatenate([f.values for f in features]))


def _first_line(text: str) -> str:
    return text[:HEAD_BYTES].strip().partition("\n")[0][:LINE_CHARACTERS]


def _last_line(text: str) -> str:
    return text[-HEAD_BYTES:].strip().rpartition("\n")[2][-LINE_CHARACTERS:]


def _words(text: str) -> tuple[Hashes, Hashes]:
    """Hashes (W,) of words, and of their stems; a word is a run of letters, digits and high bytes, or one mark."""
    data = _normalised(text)
    kinds = _KINDS[data]
    first = np.ones(len(data), bool)
    first[1:] = (kinds[1:] == _MARK) | (kinds[1:] != kinds[:-1])
    starts = np.flatnonzero(first)
    offsets = np.arange(len(data)) - starts[np.cumsum(first) - 1]
    terms = (data + np.uint64(1)) * _POWERS[offsets]
    full = kinds[starts] != _BLANK
    words = np.add.reduceat(terms, starts)[full]
    return words, np.add.reduceat(np.where(offsets < STEM_BYTES, terms, np.uint64(0)), starts)[full]


def _normalised(text: str) -> Bytes:
    """UTF-8 bytes of head and tail between blanks: lower case, digits 0, each run of white space one blank."""
    data = text[: HEAD_BYTES + TAIL_BYTES].encode("utf-8", "replace")
    if len(text) > HEAD_BYTES + TAIL_BYTES:
        data = data[:HEAD_BYTES] + b" " + text[-TAIL_BYTES:].encode("utf-8", "replace")[-TAIL_BYTES:]
    raw = np.frombuffer(b" " + data.lower().translate(_TABLE) + b" ", np.uint8)
    blank = raw == ord(" ")
    repeated = blank[1:] & blank[:-1]
    return raw[np.concatenate(([True], ~repeated))]


def _grams(words: Hashes) -> Hashes:
    """Words, and neighbouring pairs of them."""
    return np.concatenate((_mixed(words, 1), _mixed(words[:-1] * _BASE + words[1:] * _MIX, 2)))


def _openings(words: Hashes) -> Hashes:
    """The first word, the first two, the first three."""
    places = np.arange(1, len(words) + 1, dtype=np.uint64)
    return _mixed(np.cumsum(_mixed(words, 3) * places, dtype=np.uint64), 4)


def _mixed(hashes: Hashes, family: int) -> Hashes:
    """Spread over all 64 bits, differently for each family of n-grams (the finaliser of splitmix64)."""
    hashes = (hashes + np.uint64(family)) * _MIX
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)


def _powers(count: int) -> Hashes:
    return np.cumprod(np.concatenate(([np.uint64(1)], np.full(count - 1, _BASE))), dtype=np.uint64)


def _kinds() -> NDArray[np.int8]:
    letters = [byte for byte in range(256) if byte >= 128 or chr(byte).isalnum() or byte == ord("_")]
    kinds = np.full(256, _MARK, np.int8)
    kinds[letters] = _LETTER
    kinds[ord(" ")] = _BLANK
    return kinds


_TABLE = bytes.maketrans(b"0123456789\t\n\v\f\r", b"0" * 10 + b" " * 5)
_POWERS = _powers(4 * (HEAD_BYTES + TAIL_BYTES) + 8)
_KINDS = _kinds()
