"""Randomness keyed by position: noise = PRF(seed, output position, purpose), never a generator's running state.

So a row that fails over, joins another batch or changes gamma draws the same noise (ENGINE.md, "Exactness").
The function is SplitMix64 (Steele, Lea, Flood 2014), counter-based by construction: its n-th output is
mix(state + n·γ), so a vector of noise needs no loop, and integer arithmetic gives the same bits on every device.
"""

from enum import IntEnum

import torch
from torch import Tensor

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_M1 = 0xBF58476D1CE4E5B9
_M2 = 0x94D049BB133111EB


class Purpose(IntEnum):
    """What the noise at a position is for; each has a stream of its own."""

    GUMBEL = 1
    """Perturbs target and draft alike (coupled requests)."""
    DRAFT = 2
    """Draws the draft's token."""
    ACCEPT = 3
    """Decides whether it is accepted."""
    TARGET = 4
    """Draws the recovered or the bonus token."""
    SYNTHETIC = 5
    """Decides what is accepted where acceptance is made up."""


def uniform(seed: int, position: int, purpose: Purpose) -> float:
    """Return one number in [0, 1) for an output position (0 is the completion's first token)."""
    return (_mix(_state(seed, position, purpose)) >> 11) * 2.0**-53


def gumbel(seed: int, position: int, size: int, device: torch.device) -> Tensor:
    """Return Gumbel(0, 1) noise for every token of the vocabulary at an output position, float64 [size]."""
    start = _signed(_state(seed, position, Purpose.GUMBEL))
    z = torch.arange(1, size + 1, device=device) * _signed(_GOLDEN) + start  # int64 arithmetic wraps, as it must
    z = _xor_shift(z, 30) * _signed(_M1)
    z = _xor_shift(z, 27) * _signed(_M2)
    bits = _logical_shift(_xor_shift(z, 31), 11)
    unit = (bits.double() + 0.5) * 2.0**-53  # in (0, 1): the logarithms stay finite
    return -torch.log(-torch.log(unit))


def _state(seed: int, position: int, purpose: Purpose) -> int:
    state = _mix((seed & _MASK) + _GOLDEN & _MASK)
    state = _mix((state ^ position) + _GOLDEN & _MASK)
    return _mix((state ^ purpose) + _GOLDEN & _MASK)


def _mix(z: int) -> int:
    z = (z ^ (z >> 30)) * _M1 & _MASK
    z = (z ^ (z >> 27)) * _M2 & _MASK
    return z ^ (z >> 31)


def _signed(z: int) -> int:
    return z - (1 << 64) if z >> 63 else z


def _logical_shift(z: Tensor, bits: int) -> Tensor:
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _xor_shift(z: Tensor, bits: int) -> Tensor:
    return z ^ _logical_shift(z, bits)
