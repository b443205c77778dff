"""Policies and oracles over scenarios and seeds: every policy in the same worlds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from specsched.bench.simulation.contenders import Contender
from specsched.bench.simulation.oracles import oracles
from specsched.bench.simulation.scenarios import Scenario
from specsched.bench.simulation.scores import Trial

Say = Callable[[str], None]
"""Called before each world with what comes next."""

Trials = Mapping[str, Mapping[str, Sequence[Trial]]]
"""Scenario → policy → one trial per seed."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to simulate."""

    scenarios: tuple[Scenario, ...]
    contenders: tuple[Contender, ...]
    machine: str
    """gpu · cpu: whose costs."""
    seeds: int
    requests: int
    """Per world."""

    @property
    def worlds(self) -> int:
        """How often `Say` is called."""
        return len(self.scenarios) * self.seeds


def simulate(job: Job, say: Say = lambda _what: None) -> Trials:
    """Send every policy through every world."""
    found: dict[str, dict[str, list[Trial]]] = {}
    for scenario in job.scenarios:
        of_scenario = found[scenario.name] = {contender.name: [] for contender in job.contenders}
        for seed in range(job.seeds):
            say(f"{scenario.name}, seed {seed}")
            world = scenario.world(job.machine, seed, job.requests)
            best = oracles(world)
            for contender in job.contenders:
                of_scenario[contender.name].append(Trial(contender.run(world), best, world.drift))
    return found
