"""Drive a policy and a round controller through a world, round by round, in the world's own time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from specsched.bench.evaluation.row import Row
from specsched.bench.evaluation.world import Array, World
from specsched.policy.base import (
    Arm,
    DecisionContext,
    Hindsight,
    LearnsFromHindsight,
    Observation,
    Policy,
    Retrospective,
    RoundController,
)
from specsched.policy.cost import CostModel, Group
from specsched.policy.endings import Endings
from specsched.records import RoundRecord

_NOISE = 0.03
"""Standard deviation of a measured time, relative."""
_SPIKE_SHARE, _SPIKE = 0.002, 4.0
"""Now and then a round takes several times as long."""
LEAST_PREFIX_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it. Times are expected ones: what was measured, less the noise."""

    request_seconds: Array
    """Each request's share of its rounds; where load has a clock, its time from arrival to end, [requests]."""
    request_tokens: Array
    """[requests]."""
    drafted: Array
    """Rounds by request and draft, [requests, 1 + D]; the first column is plain."""
    gammas: Array
    """Mean γ by request, [requests]."""
    worst_prefix: float
    """Largest time ÷ plain decoding's, over prefixes of at least `LEAST_PREFIX_TOKENS` tokens of all rows."""

    @property
    def seconds(self) -> float:
        """Of the whole run."""
        return float(self.request_seconds.sum())

    @property
    def goodput(self) -> float:
        """Tokens per second: a ratio of sums."""
        return float(self.request_tokens.sum()) / self.seconds


class Drive:
    """One world, one policy, one worker."""

    def __init__(self, world: World, policy: Policy, controller: RoundController) -> None:
        self._world = world
        self._policy = policy
        self._controller = controller
        self._costs = CostModel(world.costs)
        self._noise = np.random.default_rng((world.seed, 2))
        self._endings = Endings()
        self._rows: list[Row] = []
        self._joined = 0
        self._clock = 0.0
        self._rounds: list[tuple[float, float, float]] = []  # tokens, seconds, plain decoding's for as many
        size = len(world.requests)
        self._seconds, self._tokens, self._gammas = [0.0] * size, [0] * size, [0] * size  # faster than arrays here
        self._columns = {draft: column for column, draft in enumerate(world.drafts, start=1)}
        self._drafted = [[0] * (1 + len(world.drafts)) for _ in range(size)]

    def run(self) -> Run:
        """Let requests join, play a round, let those that are complete leave."""
        while self._join():
            self._round()
            self._leave()
        seconds, tokens, drafted = (np.array(each, float) for each in (self._seconds, self._tokens, self._drafted))
        return Run(seconds, tokens, drafted, np.array(self._gammas) / drafted.sum(1), self._worst_prefix())

    def _join(self) -> bool:
        requests = self._world.requests
        while self._joined < len(requests) and len(self._rows) < requests[self._joined].rows:
            arrival = requests[self._joined].arrival_seconds
            if arrival is not None and arrival > self._clock:
                if self._rows:
                    break
                self._clock = arrival  # the worker is idle until then
            self._open(self._joined)
            self._joined += 1
        return bool(self._rows)

    def _open(self, index: int) -> None:
        request = self._world.requests[index]
        context = DecisionContext(
            request.probabilities,
            sampled=request.sampled,
            coupled=not request.sampled,
            drafts=self._world.drafts,
            costs=self._world.profiled,
            running_rows=len(self._rows),
            prompt_tokens=request.prompt_tokens,
            expected_tokens=round(self._endings.expected(self._world.max_tokens)),
        )
        row = Row.of(self._world, index)
        self._controller.begin(row.name, self._policy.decide(context), sampled=request.sampled)
        self._rows.append(row)

    def _leave(self) -> None:
        for row in [row for row in self._rows if row.done == row.size]:
            self._look_back(row)
            self._controller.end(row.name)
            self._endings.observe(row.size, cut=row.size == self._world.max_tokens)
            self._rows.remove(row)
            if row.request.arrival_seconds is not None:
                self._seconds[row.index] = self._clock - row.request.arrival_seconds

    def _look_back(self, row: Row) -> None:
        """Hold drafts against a completion that did not play them, where policy and controller ask for it."""
        policy, controller = self._policy, self._controller
        request = row.request
        if not isinstance(policy, LearnsFromHindsight) or not isinstance(controller, Retrospective):
            return
        for draft in controller.rivals(row.name, row.context):
            seconds, outcome = self._costs.prefill(draft, row.behind(draft)), row.hindsight(draft)
            controller.looked_back(row.name, row.context, seconds * self._jitter(), outcome)
            self._clock += seconds
            self._seconds[row.index] += seconds
            self._rounds.append((0, seconds, 0.0))
            policy.look_back(
                Hindsight(
                    row.name,
                    request.probabilities,
                    sampled=request.sampled,
                    coupled=not request.sampled,
                    outcome=outcome,
                )
            )

    def _round(self) -> None:
        rows, count = self._rows, len(self._rows)
        arms = [row.bounded(arm) for row, arm in zip(rows, self._chosen(), strict=True)]
        context = sum([row.context for row in rows]) / count
        drafts = dict.fromkeys(arm.draft_model for arm in arms if arm.gamma)  # no set: noise is drawn in their order
        drafting = {draft: self._drafting(draft, arms, context) for draft in drafts}
        width = 1 + max([row.drafted(arm) for row, arm in zip(rows, arms, strict=True)])
        verify = self._costs.verify(count * width, context)
        measured = {draft: seconds * self._jitter() for draft, seconds in drafting.items()}
        measured_verify = verify * self._jitter()
        seconds = sum(drafting.values()) + verify
        self._clock += seconds
        committed = 0
        for row, arm in zip(rows, arms, strict=True):
            record = row.play(arm, count, measured.get(arm.draft_model, 0.0), measured_verify)
            committed += self._note(row, arm, record, seconds / count)
            self._learn(row, record)
        self._rounds.append((committed, seconds, committed * self._costs.verify(count, context) / count))

    def _chosen(self) -> list[Arm]:
        return self._controller.choose([row.view for row in self._rows])

    def _drafting(self, draft: str, arms: Sequence[Arm], context: float) -> float:
        """Seconds of one draft in this round, what it has yet to take in included."""
        played = [
            (row, row.stepped(arm)) for row, arm in zip(self._rows, arms, strict=True) if arm.draft_model == draft
        ]
        steps = [count for _, count in played if count]
        behind = sum(row.behind(draft) for row, _ in played)
        group = Group(draft, len(steps), max(steps, default=0))
        return self._costs.draft(group, context) + self._costs.prefill(draft, behind)

    def _jitter(self) -> float:
        spike = _SPIKE if self._noise.random() < _SPIKE_SHARE else 1.0
        return spike * float(np.exp(_NOISE * self._noise.standard_normal()))

    def _note(self, row: Row, arm: Arm, record: RoundRecord, seconds: float) -> int:
        """Commit a row's round and keep its account; returns the tokens."""
        tokens = row.commit(record)
        self._seconds[row.index] += seconds
        self._tokens[row.index] += tokens
        self._gammas[row.index] += arm.gamma
        self._drafted[row.index][self._columns.get(arm.draft_model, 0)] += 1
        return tokens

    def _learn(self, row: Row, record: RoundRecord) -> None:
        request = row.request
        self._controller.observe(row.name, record)
        self._policy.observe(
            Observation(
                row.name, request.probabilities, sampled=request.sampled, coupled=not request.sampled, round=record
            )
        )

    def _worst_prefix(self) -> float:
        tokens, seconds, plain_seconds = np.array(self._rounds).cumsum(0).T
        return float((seconds / plain_seconds)[tokens >= LEAST_PREFIX_TOKENS].max(initial=0.0))
