"""What was recorded: the target's completions with every draft along them, in parts, and a measured latency grid.

A folder of `recording.json` and one compressed `part-NNNN.npz` per group of prompts. Parts are written whole or not at
all, so a recording that was cut off goes on where it was.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path as File
from typing import Any, Self

import numpy as np

from specsched.bench.evaluation.world import Array, Counts, Path
from specsched.errors import SetupError
from specsched.records import ClassProbabilities, CostGrid, CostPoint, DraftCost

FORMAT = 2
_HEAD = "recording.json"
_COSTS = "costs.json"


@dataclass(frozen=True, slots=True)
class Head:
    """What holds for the whole recording."""

    drafts: tuple[str, ...]
    versions: tuple[str, ...]
    """Hashes of the weights: the target's, then each draft's."""
    classes: tuple[str, ...]
    """The classifier's."""
    max_tokens: int
    max_gamma: int
    per_class: int
    temperatures: tuple[float, ...]
    seed: int
    source: str
    """Where the prompts come from."""
    parts: int


@dataclass(frozen=True, slots=True)
class RecordedPath:
    """One completion, and every draft along it."""

    prompt: int
    """Number of its prompt; one prompt may have a greedy and a sampled path."""
    prompt_class: str
    temperature: float
    prompt_tokens: int
    probabilities: ClassProbabilities
    repeated: float
    """Share of completion 4-grams repeated from the completion itself."""
    hazards: Array
    """[D, L, J], as in `Path`."""
    offered: Counts
    """[D, L]."""
    steps: Counts
    """[D, L]."""
    overlaps: Array
    """[D, L, J]."""

    @property
    def sampled(self) -> bool:
        """Whether it was drawn, not the arg max."""
        return self.temperature > 0

    def with_drafts(self, order: Sequence[int]) -> Self:
        """Keep the drafts of these numbers, in this order."""
        arrays = {name: getattr(self, name)[order] for name in ("hazards", "offered", "steps", "overlaps")}
        return replace(self, **arrays)

    @property
    def path(self) -> Path:
        """As a world takes it: a greedy engine knows no overlaps."""
        return Path(self.hazards, self.offered, self.steps, self.overlaps if self.sampled else None)


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole one."""

    head: Head
    costs: CostGrid
    int8_costs: CostGrid | None
    """Of the target in INT8, where the machine that recorded has kernels for it."""
    paths: Sequence[RecordedPath]


def windows(of_places: Array, max_gamma: int) -> Array:
    """What is the same in whatever round a place is met, by the round's first place and position: [L] → [L, J]."""
    padded = np.concatenate((of_places, np.zeros(max_gamma)))
    return np.lib.stride_tricks.sliding_window_view(padded, max_gamma)[: len(of_places)]


class Folder:
    """A recording on disk."""

    def __init__(self, folder: File) -> None:
        self._folder = folder

    def begin(self, head: Head) -> None:
        """Begin a recording, or go on with one that was made with the same options.

        Raises:
            SetupError: one stands there that was made with others, or nothing can be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if (self._folder / _HEAD).exists():
                if (other := self._head()) != head:
                    names = [name for name, value in asdict(head).items() if value != getattr(other, name)]
                    raise SetupError(f"{self._folder}: a recording with another {', '.join(names)} stands there")
                return
            self._write(_HEAD, json.dumps({"format": FORMAT, "head": asdict(head)}, indent=1).encode())
        except OSError as error:
            raise SetupError(f"{self._folder}: {error.strerror or error}") from error

    def has(self, part: int) -> bool:
        """Whether a part is there."""
        return self._part(part).exists()

    def write(self, part: int, paths: Sequence[RecordedPath]) -> None:
        """Keep a part."""
        partial = self._folder / f"part-{part:04d}.partial.npz"
        np.savez_compressed(partial, **_packed(paths))
        partial.replace(self._part(part))

    def write_costs(self, costs: CostGrid, int8_costs: CostGrid | None) -> None:
        """Keep the latency grids."""
        grids = {"costs": asdict(costs), "int8_costs": None if int8_costs is None else asdict(int8_costs)}
        self._write(_COSTS, json.dumps(grids).encode())

    def has_costs(self) -> bool:
        """Whether the latency grids are there."""
        return (self._folder / _COSTS).exists()

    def load(self) -> Recording:
        """Read it all.

        Raises:
            SetupError: not a recording, not complete, or damaged.
        """
        try:
            head = self._head()
            missing = [part for part in range(head.parts) if not self.has(part)]
            if missing or not self.has_costs():
                done = head.parts - len(missing)
                raise SetupError(f"{self._folder}: {done} of {head.parts} parts are there; record again to go on")
            grids = json.loads((self._folder / _COSTS).read_text(encoding="utf-8"))
            costs, int8_costs = (grids[name] and _grid(grids[name]) for name in ("costs", "int8_costs"))
            paths = [path for part in range(head.parts) for path in self._read(part, head)]
        except FileNotFoundError as error:
            raise SetupError(f"{self._folder}: no recording; `specsched replay record` makes one") from error
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise SetupError(f"{self._folder}: damaged recording: {error}") from error
        return Recording(head, costs, int8_costs, paths)

    def _head(self) -> Head:
        tree = json.loads((self._folder / _HEAD).read_text(encoding="utf-8"))
        if tree["format"] != FORMAT:
            raise SetupError(f"{self._folder}: format {tree['format']}, this version reads {FORMAT}")
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in tree["head"].items()}
        return Head(**fields)

    def _read(self, part: int, head: Head) -> list[RecordedPath]:
        with np.load(self._part(part), allow_pickle=False) as arrays:
            return _unpacked(dict(arrays), head)

    def _part(self, part: int) -> File:
        return self._folder / f"part-{part:04d}.npz"

    def _write(self, name: str, content: bytes) -> None:
        partial = self._folder / f"{name}.partial"
        partial.write_bytes(content)
        partial.replace(self._folder / name)


def _packed(paths: Sequence[RecordedPath]) -> dict[str, Any]:
    """Arrays of one part; places stand one completion after the other. Half a precision's digit costs nothing."""
    return {
        "lengths": np.array([path.hazards.shape[1] for path in paths], dtype=np.int32),
        "prompts": np.array([path.prompt for path in paths], dtype=np.int32),
        "prompt_tokens": np.array([path.prompt_tokens for path in paths], dtype=np.int32),
        "classes": np.array([path.prompt_class for path in paths]),
        "temperatures": np.array([path.temperature for path in paths]),
        "probabilities": np.array([path.probabilities.probabilities for path in paths]),
        "repeated": np.array([path.repeated for path in paths]),
        "hazards": _joined([path.hazards for path in paths]).astype(np.float32),
        "overlaps": _joined([path.overlaps for path in paths]).astype(np.float32),
        "offered": _joined([path.offered for path in paths]).astype(np.int16),
        "steps": _joined([path.steps for path in paths]).astype(np.int16),
    }


def _joined(arrays: Sequence[Any]) -> Any:
    return np.concatenate(arrays, axis=1)


def _unpacked(arrays: Mapping[str, Any], head: Head) -> list[RecordedPath]:
    ends = arrays["lengths"].cumsum()[:-1]
    hazards, overlaps = (np.split(arrays[name], ends, axis=1) for name in ("hazards", "overlaps"))
    offered, steps = (np.split(arrays[name].astype(np.int64), ends, axis=1) for name in ("offered", "steps"))
    return [
        RecordedPath(
            prompt=int(arrays["prompts"][i]),
            prompt_class=str(arrays["classes"][i]),
            temperature=float(arrays["temperatures"][i]),
            prompt_tokens=int(arrays["prompt_tokens"][i]),
            probabilities=ClassProbabilities(head.classes, tuple(arrays["probabilities"][i].tolist())),
            repeated=float(arrays["repeated"][i]),
            hazards=hazards[i],
            offered=offered[i],
            steps=steps[i],
            overlaps=overlaps[i],
        )
        for i in range(len(hazards))
    ]


def _grid(tree: dict[str, Any]) -> CostGrid:
    points = tuple(CostPoint(**point) for point in tree["verify"])
    drafts = tuple(
        DraftCost(**{**draft, "steps": tuple(CostPoint(**point) for point in draft["steps"])})
        for draft in tree["drafts"]
    )
    return CostGrid(tree["version"], points, drafts)
