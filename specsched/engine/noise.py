"""Randomness keyed by position: noise = PRF(seed, output position, purpose), never a generator's running state.

So a row that fails over, joins another batch or changes gamma draws the same noise (ENGINE.md, "Exactness").
The function is SplitMix64 (Steele, Lea, Flood 2014), counter-based by construction: its n-th output is
mix(state + n·γ), so a vector of noise needs no loop, and integer arithmetic gives the same bits on every device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specsched.engine.transfer import to_device

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
    """Return Gumbel(0, 1) noise for every token of the vocabulary at an output position, float64 [size].

    Computed by NumPy, in a third of torch's time, and then brought to the device.
    """
    z = _counters(size) + np.uint64(_state(seed, position, Purpose.GUMBEL))
    z = _scrambled(z, 30, _M1)
    z = _scrambled(z, 27, _M2)
    z ^= z >> np.uint64(31)
    units = (z >> np.uint64(11)).astype(np.float64)  # in (0, 1) once they are shifted: logarithms stay finite
    units += 0.5
    units *= 2.0**-53
    for _ in range(2):
        np.negative(np.log(units, out=units), out=units)
    return torch.from_numpy(units).to(device)


@lru_cache(maxsize=4)
def _counters(size: int) -> NDArray[np.uint64]:
    """γ, 2γ, …: uint64 arithmetic wraps, as it must."""
    return np.arange(1, size + 1, dtype=np.uint64) * np.uint64(_GOLDEN)


def _scrambled(z: NDArray[np.uint64], bits: int, factor: int) -> NDArray[np.uint64]:
    """One step of SplitMix64's mix, in place."""
    z ^= z >> np.uint64(bits)
    z *= np.uint64(factor)
    return z


@dataclass(frozen=True, slots=True)
class Keys:
    """Seeds and output positions of many places, on a device: the same noise, bit for bit, without a host loop."""

    seeds: Tensor  # int64, any shape
    positions: Tensor  # int64, the same

    @classmethod
    def of(cls, seeds: Sequence[int], positions: Sequence[int], device: torch.device) -> "Keys":
        """Take seeds as `uniform` does, to a device, [N]."""
        both = to_device([[_signed(seed & _MASK) for seed in seeds], [*positions]], device, torch.long)
        return cls(both[0], both[1])

    def over(self, count: int) -> "Keys":
        """Repeat each place for the `count` positions that begin with it, [N, count]."""
        ahead = torch.arange(count, device=self.positions.device)
        return Keys(self.seeds[:, None].expand(-1, count), self.positions[:, None] + ahead)

    def ahead(self, count: int | Tensor) -> "Keys":
        """Move each place `count` positions on."""
        return Keys(self.seeds, self.positions + count)

    def at(self, index: Tensor) -> "Keys":
        """Pick some of the places."""
        return Keys(self.seeds[index], self.positions[index])

    def uniform(self, purpose: Purpose) -> Tensor:
        """Return `uniform` of every place, float64."""
        return _logical_shift(_mixed(self._states(purpose)), 11).double() * 2.0**-53

    def exponential(self, purpose: Purpose, size: int) -> Tensor:
        """Return Exp(1) noise for every token of the vocabulary at every place, float64 [..., size]."""
        return -torch.log(_units(self._states(purpose), size))

    def _states(self, purpose: Purpose) -> Tensor:
        golden = _signed(_GOLDEN)  # int64 arithmetic wraps, as it must
        state = _mixed(self.seeds + golden)
        state = _mixed((state ^ self.positions) + golden)
        return _mixed((state ^ int(purpose)) + golden)


def _units(states: Tensor, size: int) -> Tensor:
    """Return `size` numbers in (0, 1) that follow each state, float64 [..., size]: logarithms of them stay finite."""
    z = _mixed(torch.arange(1, size + 1, device=states.device) * _signed(_GOLDEN) + states[..., None])
    return (_logical_shift(z, 11).double() + 0.5) * 2.0**-53


def _mixed(z: Tensor) -> Tensor:
    z = _xor_shift(z, 30) * _signed(_M1)
    z = _xor_shift(z, 27) * _signed(_M2)
    return _xor_shift(z, 31)


def _state(seed: int, position: int, purpose: Purpose) -> int:
    return _mix((_place(seed, position) ^ purpose) + _GOLDEN & _MASK)


@lru_cache(maxsize=4096)
def _place(seed: int, position: int) -> int:
    """What all purposes share: drafting, accepting and drawing ask of the same positions, one after the other."""
    state = _mix((seed & _MASK) + _GOLDEN & _MASK)
    return _mix((state ^ position) + _GOLDEN & _MASK)


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
