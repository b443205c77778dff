"""Trials on disk, a file per world: a job that was cut off goes on where it was."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np

import specsched
from specsched.bench.evaluation.drive import Run
from specsched.bench.evaluation.oracles import Oracles
from specsched.bench.evaluation.scores import Trial
from specsched.bench.evaluation.world import World

Make = Callable[[], list[Trial]]

_CODE = ("bench/evaluation", "policy")
"""Packages that runs depend on."""


class Kept(Protocol):
    """Where trials are looked up before they are made. It travels to other processes."""

    def trials(self, name: str, world: World, contenders: Sequence[str], make: Make) -> list[Trial]:
        """Return a world's trials, one per contender: kept ones, or new ones."""
        ...


@dataclass(frozen=True, slots=True)
class NothingKept:
    """Makes all anew."""

    def trials(self, name: str, world: World, contenders: Sequence[str], make: Make) -> list[Trial]:  # noqa: ARG002 - the port's
        """Make them."""
        return make()


NOTHING = NothingKept()


@dataclass(frozen=True, slots=True)
class KeptFolder:
    """One file per world, named for all that it depends on: other code, worlds or contenders have their own."""

    folder: Path

    def trials(self, name: str, world: World, contenders: Sequence[str], make: Make) -> list[Trial]:
        """Return a world's trials, kept ones where they are there.

        Raises:
            OSError: the folder cannot be written.
        """
        file = self.folder / f"{name}-{world.seed}-{_digest(world, contenders)}.npz"
        if file.exists():
            return _read(file, world)
        found = make()
        _write(file, found)
        return found


def _read(file: Path, world: World) -> list[Trial]:
    with np.load(file) as kept:
        best = Oracles(**{name: kept[f"oracles.{name}"] for name in _names(Oracles)})
        runs = [{name: kept[f"{i}.{name}"] for name in _names(Run)} for i in range(int(kept["runs"]))]
    made = [Run(**run | {"worst_prefix": float(run["worst_prefix"])}) for run in runs]
    return [Trial(run, best, world.drafts, world.drift) for run in made]


def _names(record: type[Oracles | Run]) -> list[str]:
    return [field.name for field in fields(record)]


def _write(file: Path, trials: Sequence[Trial]) -> None:
    arrays = {f"oracles.{name}": value for name, value in asdict(trials[0].oracles).items()}
    arrays |= {f"{i}.{name}": value for i, trial in enumerate(trials) for name, value in asdict(trial.run).items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial.npz")
    np.savez_compressed(partial, runs=len(trials), **arrays)
    partial.replace(file)


def _digest(world: World, contenders: Sequence[str]) -> str:
    known = (_code(), contenders, world.drafts, world.max_tokens, world.costs, world.profiled, world.seed, world.priors)
    said = hashlib.sha256(repr(known).encode())
    for request in world.requests:
        path = request.path
        shown = (request.probabilities, request.prompt_tokens, request.rows, request.sampled, request.arrival_seconds)
        said.update(repr((shown, request.prompt_class, request.stage, path.tokens)).encode())
        for array in (path.hazards, path.offered, path.steps, path.overlaps):
            said.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return said.hexdigest()[:16]


@cache
def _code() -> str:
    root, said = Path(specsched.__file__).parent, hashlib.sha256()
    for file in sorted(file for package in _CODE for file in (root / package).rglob("*.py")):
        said.update(file.read_bytes())
    return said.hexdigest()
