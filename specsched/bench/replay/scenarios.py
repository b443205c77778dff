"""Recorded paths as worlds: what comes when, and with what load."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from specsched.bench.evaluation.world import World, WorldRequest
from specsched.bench.replay.recording import RecordedPath, Recording
from specsched.bench.simulation.costs import MACHINES, profiled
from specsched.errors import SetupError
from specsched.policy.cost import CostModel
from specsched.policy.memory import Cell
from specsched.records import CostGrid

LOOPING_SHARE = 1 / 3
"""From this share of repeated 4-grams on, a completion counts as looping."""
_CONTEXT = 256
"""Tokens of context at which a draft's step is held against the target's."""


@dataclass(frozen=True, slots=True)
class Plot:
    """What happens. Classes are named by their place in the recording's list, as shares of it."""

    name: str
    mixes: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    """First and last class that come, stage by stage."""
    shuffled: bool = False
    """Requests of all stages come in random order."""
    swapped: bool = False
    """At the middle the first two drafts are exchanged under their names."""
    rows: tuple[int, ...] = (1,)
    """Requests that run at once, stage by stage."""


_HALVES = ((0.0, 0.5), (0.5, 1.0))

PLOTS: Mapping[str, Plot] = {
    plot.name: plot
    for plot in (
        Plot("stationary"),
        Plot("shuffled", mixes=_HALVES, shuffled=True),
        Plot("phase_shift", mixes=_HALVES),
        Plot("new_class", mixes=((0.0, 0.75), (0.75, 1.0))),
        Plot("draft_swapped", swapped=True),
        Plot("load_ramp", rows=(1, 2, 4, 8)),
    )
}


@dataclass(frozen=True, slots=True)
class Replayed:
    """A plot on a recording's paths, as an experiment takes it."""

    plot: Plot
    recording: Recording
    costs: CostGrid
    requests: int
    priors: tuple[Cell, ...] = ()
    """As in `World`."""

    @property
    def name(self) -> str:
        """The plot's."""
        return self.plot.name

    def world(self, seed: int) -> World:
        """Draw which path comes when; of a class every path is as likely."""
        random = np.random.default_rng((seed, 3))
        drawn = [self._request(index, random) for index in range(self.requests)]
        drift = next((i for i in range(1, len(drawn)) if drawn[i].stage != drawn[i - 1].stage), None)
        if self.plot.shuffled:
            drawn = [replace(drawn[i], stage=0) for i in random.permutation(len(drawn))]
            drift = None
        head = self.recording.head
        told = profiled(self.costs, random)
        return World(drawn, head.drafts, head.max_tokens, self.costs, told, drift, seed, self.priors)

    def _request(self, index: int, random: np.random.Generator) -> WorldRequest:
        plot = self.plot
        stages = max(len(plot.mixes), 2 if plot.swapped else 1)
        stage = index * stages // self.requests
        by_class = self._by_class()
        first, last = plot.mixes[min(stage, len(plot.mixes) - 1)]
        names = sorted(by_class)[int(first * len(by_class)) : ceil(last * len(by_class))]
        of_class = by_class[str(random.choice(names))]
        path = of_class[int(random.integers(len(of_class)))]
        return WorldRequest(
            probabilities=path.probabilities,
            prompt_tokens=path.prompt_tokens,
            rows=plot.rows[index * len(plot.rows) // self.requests],
            prompt_class=path.prompt_class,
            stage=stage,
            path=_swapped(path).path if plot.swapped and stage else path.path,
            sampled=path.sampled,
        )

    def _by_class(self) -> dict[str, list[RecordedPath]]:
        found: dict[str, list[RecordedPath]] = {}
        for path in self.recording.paths:
            found.setdefault(path.prompt_class, []).append(path)
        return found


def chosen_paths(recording: Recording, half: str) -> Recording:
    """Keep every second prompt: "tune" the even ones, "report" the odd ones, "all" every one.

    Raises:
        SetupError: nothing is left.
    """
    parities = {"tune": (0,), "report": (1,), "all": (0, 1)}[half]
    return _kept(recording, lambda path: path.prompt % 2 in parities)


def without_looping(recording: Recording) -> Recording:
    """Leave out completions that loop.

    Raises:
        SetupError: nothing is left.
    """
    return _kept(recording, lambda path: path.repeated < LOOPING_SHARE)


def _kept(recording: Recording, wanted: Callable[[RecordedPath], bool]) -> Recording:
    if paths := [path for path in recording.paths if wanted(path)]:
        return replace(recording, paths=paths)
    raise SetupError("no recorded path is left to play")


def with_drafts(recording: Recording, drafts: Sequence[str]) -> Recording:
    """Keep some drafts, in this order; none named: all.

    Raises:
        SetupError: one was not recorded.
    """
    known = recording.head.drafts
    if unknown := [draft for draft in drafts if draft not in known]:
        raise SetupError(f"--draft {unknown[0]!r}: give one of {', '.join(known)}")
    if not drafts:
        return recording
    order = [known.index(draft) for draft in drafts]
    paths = [path.with_drafts(order) for path in recording.paths]
    return replace(recording, head=replace(recording.head, drafts=tuple(drafts)), paths=paths)


def grid_like(machine: str, recording: Recording) -> CostGrid:
    """Costs of a machine on which drafts cost as much of the target's step as was measured.

    "measured" is the recording's own grid, "int8" the one that it has of the target in INT8.

    Raises:
        SetupError: it has none.
    """
    if machine == "measured":
        return recording.costs
    if machine == "int8":
        if recording.int8_costs is None:
            raise SetupError("INT8 costs were not recorded: the machine that recorded has no kernels for it")
        return recording.int8_costs
    model = CostModel(recording.costs)
    unit = model.verify(1, _CONTEXT)
    steps = {draft: model.draft_line(draft, 1, _CONTEXT)[1] / unit for draft in recording.head.drafts}
    return replace(MACHINES[machine], steps=steps).grid()


def _swapped(path: RecordedPath) -> RecordedPath:
    return path.with_drafts([1, 0, *range(2, len(path.hazards))])
