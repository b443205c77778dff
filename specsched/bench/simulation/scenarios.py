"""Ready scenarios: what may happen to a worker, each as a few knobs on one drawing of a world."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from specsched.bench.evaluation.world import Array, Path, World, WorldRequest
from specsched.bench.simulation.costs import DRAFTS, MACHINES, profiled
from specsched.bench.simulation.truth import Truth, draw_offsets, draw_truth
from specsched.classify.base import PROMPT_CLASSES
from specsched.records import ClassProbabilities

MAX_TOKENS = 256
"""What every caller asks for."""
_SHORTEST = 32
"""Completions have between so many tokens and `MAX_TOKENS`, all lengths alike."""
_SURE = 0.95
"""The classifier's confidence where it is never wrong."""

Change = Callable[[Truth, np.random.Generator], Truth]
"""What a drift makes of the truth."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Knobs. Two mixes or a change: it drifts at its middle."""

    name: str
    mixes: tuple[slice, ...] = (slice(None),)
    """Classes that come, as a slice of `PROMPT_CLASSES`, stage by stage; all alike often."""
    change: Change | None = None
    """What the drift does to the truth."""
    shuffled: bool = False
    """Requests of all stages come in random order: there is no drift to follow."""
    bad: tuple[str, ...] = ()
    """Drafts that hardly ever hit."""
    rows: tuple[int, ...] = (1,)
    """Requests that run at once, stage by stage."""
    prompt_tokens: tuple[int, int] = (16, 512)
    """Shortest and longest."""
    wrong_costs: float = 0.0
    """The profile says so much more of the target and less of the drafts, or the reverse."""
    misclassified: float = 0.0
    """Share of requests that the classifier takes for another class; its confidence is the rest."""
    arrivals: float = 0.0
    """Requests come on a clock of their own, so many completions in the time that plain decoding takes a lone one;
    `rows` is then the most that run at once, and whoever is faster has smaller batches. 0: a row is never free."""

    def stage(self, index: int, requests: int) -> int:
        """Part of the scenario in which a request is drawn."""
        stages = max(len(self.mixes), len(self.rows), 2 if self.change else 1)
        return index * stages // requests

    def world(self, machine: str, seed: int, requests: int) -> World:
        """Draw a world on "gpu" or "cpu"."""
        random = np.random.default_rng((seed, 1))
        truths = self._truths(random)
        drawn = [self._request(index, requests, truths, random) for index in range(requests)]
        drift = next((i for i in range(1, requests) if drawn[i].stage != drawn[i - 1].stage), None)
        if self.shuffled:
            order = random.permutation(requests)
            drawn, drift = [drawn[i] for i in order], None
        if self.arrivals:
            drawn = self._clocked(drawn, MACHINES[machine].plain_seconds, random)
        costs = MACHINES[machine].grid()
        wrong = 1 + self.wrong_costs * (-1) ** seed
        return World(tuple(drawn), DRAFTS, MAX_TOKENS, costs, profiled(costs, random, wrong, 2 - wrong), drift, seed)

    def _clocked(
        self, requests: list[WorldRequest], plain_seconds: float, random: np.random.Generator
    ) -> list[WorldRequest]:
        """Let them arrive as a Poisson process."""
        between = (_SHORTEST + MAX_TOKENS) / 2 * plain_seconds / self.arrivals
        times = random.exponential(between, len(requests)).cumsum()
        return [replace(request, arrival_seconds=float(at)) for request, at in zip(requests, times, strict=True)]

    def _truths(self, random: np.random.Generator) -> list[Truth]:
        first = draw_truth(random).with_bad(self.bad)
        return [first, self.change(first, random) if self.change else first]

    def _request(self, index: int, requests: int, truths: list[Truth], random: np.random.Generator) -> WorldRequest:
        stage = self.stage(index, requests)
        mix = PROMPT_CLASSES[self.mixes[min(stage, len(self.mixes) - 1)]]
        prompt_class = str(random.choice(mix))
        probabilities = self._classified(prompt_class, random)
        prompt_tokens = int(random.integers(self.prompt_tokens[0], self.prompt_tokens[1] + 1))
        hazards = truths[min(stage, 1)].hazards(prompt_class, draw_offsets(random))
        return WorldRequest(
            probabilities=probabilities,
            prompt_tokens=prompt_tokens,
            rows=self.rows[index * len(self.rows) // requests],
            prompt_class=prompt_class,
            stage=0 if self.shuffled else stage,
            path=path_of(hazards, int(random.integers(_SHORTEST, MAX_TOKENS + 1))),
        )

    def _classified(self, prompt_class: str, random: np.random.Generator) -> ClassProbabilities:
        """Calibrated: as sure as it is right."""
        others = [name for name in PROMPT_CLASSES if name != prompt_class]
        wrong = random.random() < self.misclassified
        seen = str(random.choice(others)) if wrong else prompt_class
        sure = min(_SURE, 1 - self.misclassified)
        rest = (1 - sure) / len(others)
        return ClassProbabilities(PROMPT_CLASSES, tuple(sure if name == seen else rest for name in PROMPT_CLASSES))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A scenario as an experiment takes it: on a machine, with so many requests a world."""

    scenario: Scenario
    machine: str
    requests: int

    @property
    def name(self) -> str:
        """The scenario's."""
        return self.scenario.name

    def world(self, seed: int) -> World:
        """Draw one."""
        return self.scenario.world(self.machine, seed, self.requests)


def path_of(hazards: Array, tokens: int) -> Path:
    """Hazards [D, J] that are the same at every place."""
    drafts, positions = hazards.shape
    everywhere = np.broadcast_to(hazards[:, None], (drafts, tokens, positions))
    always = np.full((drafts, tokens), positions)
    return Path(everywhere, always, always)


def _redrawn(_truth: Truth, random: np.random.Generator) -> Truth:
    return draw_truth(random)


def _swapped(truth: Truth, _random: np.random.Generator) -> Truth:
    """The two middle drafts are exchanged under their names."""
    logits: Array = truth.logits.copy()
    one, other = DRAFTS.index("tiny"), DRAFTS.index("small")
    logits[:, [one, other]] = logits[:, [other, one]]
    logits[:, DRAFTS.index("large")] -= 1.5
    return Truth(logits)


_HALVES = (slice(0, 4), slice(4, 8))

_ALL = (
    Scenario("stationary"),
    Scenario("shuffled", mixes=_HALVES, shuffled=True),
    Scenario("phase_shift", mixes=_HALVES),
    Scenario("new_truth", change=_redrawn),
    Scenario("new_class", mixes=(slice(0, 6), slice(6, 8))),
    Scenario("bad_drafts", bad=DRAFTS),
    Scenario("draft_swapped", change=_swapped),
    Scenario("load_ramp", rows=(1, 2, 4, 8, 16)),
    Scenario("mixed_batch", rows=(8,)),
    Scenario("answering_load", rows=(16,), arrivals=3.0),
    Scenario("long_contexts", prompt_tokens=(1_500, 4_000)),
    Scenario("wrong_costs", wrong_costs=0.3),
    Scenario("misclassified_20", misclassified=0.2),
    Scenario("misclassified_40", misclassified=0.4),
)

SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
