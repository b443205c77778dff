"""Policies and oracles over scenarios and seeds: every policy in the same worlds, worlds side by side."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import get_context
from typing import Protocol

from specsched.bench.evaluation.contenders import Contender
from specsched.bench.evaluation.kept import NOTHING, Kept
from specsched.bench.evaluation.oracles import oracles
from specsched.bench.evaluation.scores import Trial
from specsched.bench.evaluation.world import World

Say = Callable[[str], None]
"""Called after each world with what it was."""

Trials = Mapping[str, Mapping[str, Sequence[Trial]]]
"""Scenario → policy → one trial per seed."""


class Scenario(Protocol):
    """Draws worlds. It travels to other processes."""

    @property
    def name(self) -> str:
        """As a command line spells it."""
        ...

    def world(self, seed: int) -> World:
        """Draw one; equal seeds, equal worlds."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """What to try."""

    scenarios: tuple[Scenario, ...]
    contenders: tuple[Contender, ...]
    seeds: range
    """One world each."""
    processes: int = 1
    kept: Kept = NOTHING

    @property
    def worlds(self) -> int:
        """How often `Say` is called."""
        return len(self.scenarios) * len(self.seeds)


def run(job: Job, say: Say = lambda _what: None) -> Trials:
    """Send every policy through every world."""
    found: dict[str, dict[str, list[Trial]]] = {
        scenario.name: {contender.name: [] for contender in job.contenders} for scenario in job.scenarios
    }
    for (scenario, seed), trials in zip(product(job.scenarios, job.seeds), _all(job), strict=True):
        for contender, trial in zip(job.contenders, trials, strict=True):
            found[scenario.name][contender.name].append(trial)
        say(f"{scenario.name}, seed {seed}")
    return found


def _all(job: Job) -> Iterator[list[Trial]]:
    """Every world's trials, scenario by scenario, seed by seed."""
    worlds = product(range(len(job.scenarios)), job.seeds)
    if job.processes == 1:
        yield from map(partial(_trials, job), worlds)
        return
    # Spawned, not forked: a parent with threads is not safe to fork.
    with ProcessPoolExecutor(job.processes, get_context("spawn"), _begin, (job,)) as pool:
        yield from pool.map(_in_child, worlds)


_jobs: list[Job] = []


def _begin(job: Job) -> None:
    _jobs.append(job)


def _in_child(world: tuple[int, int]) -> list[Trial]:
    return _trials(_jobs[-1], world)


def _trials(job: Job, numbers: tuple[int, int]) -> list[Trial]:
    index, seed = numbers
    scenario = job.scenarios[index]
    world, names = scenario.world(seed), [contender.name for contender in job.contenders]
    return job.kept.trials(scenario.name, world, names, partial(_tried, job.contenders, world))


def _tried(contenders: Sequence[Contender], world: World) -> list[Trial]:
    best = oracles(world)
    return [Trial(contender.run(world), best, world.drafts, world.drift) for contender in contenders]
