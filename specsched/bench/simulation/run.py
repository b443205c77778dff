"""Drive a policy and a round controller through a world, round by round, in simulated time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from specsched.bench.simulation.world import DRAFTS, MAX_TOKENS, Array, SimulatedRequest, World
from specsched.policy.base import Arm, DecisionContext, Observation, Policy, RoundController, RowView
from specsched.policy.cost import CostModel, Group
from specsched.records import NO_DRAFT, RoundRecord

_NOISE = 0.03
"""Standard deviation of a measured time, relative."""
_SPIKE_SHARE, _SPIKE = 0.002, 4.0
"""Now and then a round takes several times as long."""
ARMS = (NO_DRAFT, *DRAFTS)


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it. Times are expected ones: what was measured, less the noise."""

    round_tokens: Array
    """Committed by each round, all rows together, [rounds]."""
    round_seconds: Array
    """[rounds]."""
    round_plain_seconds: Array
    """What plain decoding needs for as many tokens in the same batch, [rounds]."""
    request_seconds: Array
    """Each request's share of its rounds, [requests]."""
    request_tokens: Array
    """[requests]."""
    drafted: Array
    """Rounds by request and draft, [requests, 1 + D]; the first column is plain."""
    gammas: Array
    """Mean γ by request, [requests]."""

    @property
    def seconds(self) -> float:
        """Of the whole run."""
        return float(self.round_seconds.sum())

    @property
    def goodput(self) -> float:
        """Tokens per second: a ratio of sums."""
        return float(self.round_tokens.sum()) / self.seconds


@dataclass(slots=True)
class _Row:
    """A request that runs."""

    index: int
    request: SimulatedRequest
    hazards: list[list[float]]
    coins: list[list[float]]
    done: int = 0
    taken_in: dict[str, int] = field(default_factory=dict)
    """Draft → tokens that it has seen."""

    @property
    def name(self) -> str:
        return str(self.index)

    @property
    def context(self) -> int:
        return self.request.prompt_tokens + self.done

    @property
    def view(self) -> RowView:
        return RowView(self.name, self.context, MAX_TOKENS - self.done)

    def accepted(self, arm: Arm) -> int:
        """Drafted tokens that stand."""
        if arm.gamma == 0:
            return 0
        draft = DRAFTS.index(arm.draft_model)
        hazards, coins = self.hazards[draft], self.coins[draft]
        for j in range(arm.gamma):
            if coins[self.done + j] >= hazards[j]:
                return j
        return arm.gamma

    def behind(self, draft: str) -> int:
        """Tokens that a draft has yet to take in."""
        return self.context - self.taken_in.get(draft, 0)


class Simulation:
    """One world, one policy, one worker."""

    def __init__(self, world: World, policy: Policy, controller: RoundController) -> None:
        self._world = world
        self._policy = policy
        self._controller = controller
        self._costs = CostModel(world.costs)
        self._noise = np.random.default_rng((world.seed, 2))
        self._rows: list[_Row] = []
        self._joined = 0
        self._rounds: list[tuple[float, float, float]] = []
        size = len(world.requests)
        self._seconds, self._tokens, self._gammas = np.zeros(size), np.zeros(size), np.zeros(size)
        self._drafted = np.zeros((size, len(ARMS)))

    def run(self) -> Run:
        """Let requests join, play a round, let those that are complete leave."""
        while self._join():
            self._round()
            self._leave()
        tokens, seconds, plain_seconds = np.array(self._rounds).T
        rounds = self._drafted.sum(1)
        return Run(tokens, seconds, plain_seconds, self._seconds, self._tokens, self._drafted, self._gammas / rounds)

    def _join(self) -> bool:
        requests = self._world.requests
        while self._joined < len(requests) and len(self._rows) < requests[self._joined].rows:
            self._open(self._joined)
            self._joined += 1
        return bool(self._rows)

    def _open(self, index: int) -> None:
        request = self._world.requests[index]
        context = DecisionContext(
            request.probabilities,
            sampled=False,
            coupled=True,
            drafts=DRAFTS,
            costs=self._world.profiled,
            running_rows=len(self._rows),
            prompt_tokens=request.prompt_tokens,
            expected_tokens=MAX_TOKENS,
        )
        row = _Row(index, request, request.hazards.tolist(), self._world.coins(index))
        self._controller.begin(row.name, self._policy.decide(context), sampled=False)
        self._rows.append(row)

    def _leave(self) -> None:
        for row in [row for row in self._rows if row.done == row.request.completion_tokens]:
            self._controller.end(row.name)
            self._rows.remove(row)

    def _round(self) -> None:
        rows = self._rows
        arms = [_bounded(row, arm) for row, arm in zip(rows, self._chosen(), strict=True)]
        context = fmean(row.context for row in rows)
        drafting = {draft: self._drafting(draft, arms, context) for draft in {a.draft_model for a in arms if a.gamma}}
        verify = self._costs.verify(len(rows) * (max(arm.gamma for arm in arms) + 1), context)
        measured = {draft: seconds * self._jitter() for draft, seconds in drafting.items()}
        measured_verify = verify * self._jitter()
        seconds = sum(drafting.values()) + verify
        committed = 0
        for row, arm in zip(rows, arms, strict=True):
            record = _play(row, arm, len(rows), measured.get(arm.draft_model, 0.0), measured_verify)
            committed += self._note(row, arm, record, seconds / len(rows))
            self._learn(row, record)
        self._rounds.append((committed, seconds, committed * self._costs.verify(len(rows), context) / len(rows)))

    def _chosen(self) -> list[Arm]:
        return self._controller.choose([row.view for row in self._rows])

    def _drafting(self, draft: str, arms: Sequence[Arm], context: float) -> float:
        """Seconds of one draft in this round, what it has yet to take in included."""
        gammas = {row.index: arm.gamma for row, arm in zip(self._rows, arms, strict=True) if arm.draft_model == draft}
        behind = sum(row.behind(draft) for row in self._rows if row.index in gammas)
        group = Group(draft, len(gammas), max(gammas.values()))
        return self._costs.draft(group, context) + self._costs.prefill(draft, behind)

    def _jitter(self) -> float:
        spike = _SPIKE if self._noise.random() < _SPIKE_SHARE else 1.0
        return spike * float(np.exp(_NOISE * self._noise.standard_normal()))

    def _note(self, row: _Row, arm: Arm, record: RoundRecord, seconds: float) -> int:
        """Commit the round's tokens and keep the row's account; returns how many."""
        tokens = min(record.num_accepted + 1, row.request.completion_tokens - row.done)
        row.done += tokens
        if arm.gamma:
            row.taken_in[arm.draft_model] = row.context
        self._seconds[row.index] += seconds
        self._tokens[row.index] += tokens
        self._gammas[row.index] += arm.gamma
        self._drafted[row.index, ARMS.index(arm.draft_model)] += 1
        return tokens

    def _learn(self, row: _Row, record: RoundRecord) -> None:
        self._controller.observe(row.name, record)
        self._policy.observe(
            Observation(row.name, row.request.probabilities, sampled=False, coupled=True, round=record)
        )


def _bounded(row: _Row, arm: Arm) -> Arm:
    """Cut an arm to what the row can still take, as an engine does."""
    gamma = min(arm.gamma, MAX_TOKENS - row.done - 1)
    return Arm(arm.draft_model, gamma) if gamma > 0 else Arm(NO_DRAFT, 0)


def _play(row: _Row, arm: Arm, rows: int, propose_seconds: float, verify_seconds: float) -> RoundRecord:
    accepted, left = row.accepted(arm), row.request.completion_tokens - row.done
    return RoundRecord(
        draft_model=arm.draft_model,
        gamma=arm.gamma,
        num_accepted=min(accepted, left),
        batch_size=rows,
        propose_seconds=propose_seconds,
        verify_seconds=verify_seconds,
        censored=accepted + 1 > left,
        planned_gamma=arm.gamma,
    )
