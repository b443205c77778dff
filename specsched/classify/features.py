"""Prompt → hashed word n-grams, in numpy alone.

Three channels: word uni- and bigrams of the prompt's head and tail, and those of its first and of its last few lines
once more, because what an instruction asks for stands at one of the two ends and the middle is material. Each channel
hashes into its own block of weights (the hashing trick, arXiv 0902.2206) and has length 1, so that long material cannot
drown a short instruction. Every digit is a 0: a class is never about which number. The numbers in this file are part of
an artefact's meaning; change one, raise LAYOUT.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LAYOUT = 1
HEAD_BYTES, TAIL_BYTES = 1200, 400
EDGE_BYTES = 160
WORD_BITS, EDGE_BITS = 15, 14
BUCKETS = (1 << WORD_BITS) + 2 * (1 << EDGE_BITS)
CHANNELS = 3

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


def extract(text: str) -> Features:
    """Return a prompt's features. Any string will do, the empty one too."""
    data = _normalised(text)
    channels = (
        _channel(_word_hashes(data), WORD_BITS, 0),
        _channel(_word_hashes(data[:EDGE_BYTES]), EDGE_BITS, 1 << WORD_BITS),
        _channel(_word_hashes(data[-EDGE_BYTES:]), EDGE_BITS, (1 << WORD_BITS) + (1 << EDGE_BITS)),
    )
    buckets = np.concatenate([channel.buckets for channel in channels])
    return Features(buckets, np.concatenate([channel.values for channel in channels]))


def _channel(hashes: Hashes, bits: int, start: int) -> Features:
    """Square roots of counts, scaled to length 1; its buckets begin at `start`."""
    buckets, counts = np.unique((hashes >> np.uint64(64 - bits)).astype(np.int64), return_counts=True)
    # The length of square roots of counts is the square root of their sum.
    return Features(buckets + start, np.sqrt(counts / max(len(hashes), 1)).astype(np.float32))


def _normalised(text: str) -> Bytes:
    """UTF-8 bytes of head and tail between blanks: lower case, digits 0, each run of white space one blank."""
    data = text[: HEAD_BYTES + TAIL_BYTES].encode("utf-8", "replace")
    if len(text) > HEAD_BYTES + TAIL_BYTES:
        data = data[:HEAD_BYTES] + b" " + text[-TAIL_BYTES:].encode("utf-8", "replace")[-TAIL_BYTES:]
    raw = np.frombuffer(b" " + data.lower().translate(_TABLE) + b" ", np.uint8)
    blank = raw == ord(" ")
    repeated = blank[1:] & blank[:-1]
    return raw[np.concatenate(([True], ~repeated))]


def _word_hashes(data: Bytes) -> Hashes:
    """Hashes of words and of neighbouring pairs; a word is a run of letters, digits and high bytes, or one mark."""
    kinds = _KINDS[data]
    first = np.ones(len(data), bool)
    first[1:] = (kinds[1:] == _MARK) | (kinds[1:] != kinds[:-1])
    starts = np.flatnonzero(first)
    offsets = np.arange(len(data)) - starts[np.cumsum(first) - 1]
    sums = np.add.reduceat((data + np.uint64(1)) * _POWERS[offsets], starts)
    words = sums[kinds[starts] != _BLANK]
    return np.concatenate((_mixed(words, 1), _mixed(words[:-1] * _BASE + words[1:] * _MIX, 2)))


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
