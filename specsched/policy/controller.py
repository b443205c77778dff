"""What runs inside a worker: every row's arm, every round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import fmean

from specsched.policy.base import Arm, RoundController, RowView
from specsched.policy.batch import Batch, Lane
from specsched.policy.cost import CostModel, Group, TrackedCosts
from specsched.policy.guard import Guard
from specsched.policy.offset import RequestHazards
from specsched.policy.settings import PolicySettings
from specsched.policy.watchdog import Watchdog
from specsched.records import NO_DRAFT, CostGrid, Plan, RoundRecord


class PlannedController:
    """Plays each plan's arm as it stands."""

    def __init__(self) -> None:
        self._plans: dict[str, Plan] = {}

    def begin(self, request_id: str, plan: Plan, *, sampled: bool) -> None:  # noqa: ARG002 - the port's
        """Take a row with its plan."""
        self._plans[request_id] = plan

    def choose(self, rows: Sequence[RowView]) -> list[Arm]:
        """Return the planned arms."""
        plans = [self._plans[row.request_id] for row in rows]
        return [Arm(plan.draft_model, plan.gamma) for plan in plans]

    def observe(self, request_id: str, round_record: RoundRecord) -> None:
        """Nothing to learn."""

    def end(self, request_id: str) -> None:
        """Forget a row."""
        self._plans.pop(request_id, None)


@dataclass(slots=True)
class _Member:
    """A row as the controller knows it."""

    plan: Plan
    hazards: RequestHazards
    draft: str
    follows: bool
    """Whether the controller may choose for it: its caller did not, and there is something to choose."""
    random: Random
    """Of this request's own draws."""
    rounds: int = 0
    started: set[str] = field(default_factory=set)
    """Drafts whose first round, the one that takes in the prompt, is over."""

    def lane(self, row: RowView) -> Lane:
        """Its part of the round that comes."""
        room = max(0, row.remaining_tokens - 1)
        if self.follows:
            return Lane(self.draft, min(self.plan.max_gamma, room), tokens=self.hazards.tokens(self.draft))
        return Lane(self.plan.draft_model, min(self.plan.gamma, room), pinned=True)


@dataclass(frozen=True, slots=True)
class _Round:
    """The round that is under way."""

    arms: dict[str, Arm]
    groups: tuple[Group, ...]
    drafting: Mapping[str, float]
    """Draft → seconds that its part should take."""
    context_tokens: float
    records: dict[str, RoundRecord] = field(default_factory=dict)


class AdaptiveController:
    """One shared bound on γ per round, chosen for the batch as it is now, within what the guard allows."""

    def __init__(self, settings: PolicySettings, costs: CostGrid, seed: int) -> None:  # noqa: ARG002 - draws come with exploration inside a request
        self._settings = settings
        self._costs = TrackedCosts(CostModel(costs))
        self._guard = Guard(settings)
        self._watchdog = Watchdog(settings)
        self._members: dict[str, _Member] = {}
        self._bound = 0
        self._vetoes = 0
        self._round: _Round | None = None

    @property
    def credit(self) -> float:
        """The guard's Z, in tokens."""
        return self._guard.credit

    @property
    def vetoes(self) -> int:
        """Rounds in which the guard forbade speculation."""
        return self._vetoes

    @property
    def profile_wanted(self) -> bool:
        """Whether rounds have cost clearly more than predicted, so that costs should be measured anew."""
        return self._watchdog.profile_wanted

    @property
    def costs(self) -> TrackedCosts:
        """What rounds cost, as far as the clock has told."""
        return self._costs

    def inherit(self, before: RoundController) -> None:
        """Take over the guard's credit and what is known of costs: other settings are no reason to spend anew."""
        if isinstance(before, AdaptiveController):
            self._guard.inherit(before.credit)
            self._costs, self._vetoes = before.costs, before.vetoes

    def begin(self, request_id: str, plan: Plan, *, sampled: bool) -> None:  # noqa: ARG002 - beliefs are of its regime
        """Take a row with its plan."""
        hazards = RequestHazards({c.draft_model: c.hazards for c in plan.candidates}, self._settings)
        follows = not plan.pinned and bool(plan.candidates)
        self._members[request_id] = _Member(plan, hazards, _first_draft(plan), follows, Random(plan.seed))
        self._bound = max(self._bound, plan.gamma)

    def choose(self, rows: Sequence[RowView]) -> list[Arm]:
        """Choose one arm per row for the round that comes."""
        for row in rows:
            self._reconsider(row)
        context = fmean(row.context_tokens for row in rows)
        lanes, catch_up = self._lanes(rows, self._costs.plain(len(rows), context))
        batch = Batch(lanes, self._costs, context)
        self._bound = self._best_bound(batch)
        allowed = self._guard.allows(len(rows), batch.slowness(self._bound) + catch_up)
        self._vetoes += not allowed
        bound = self._bound if allowed else 0
        arms = batch.arms(bound)
        by_row = dict(zip((row.request_id for row in rows), arms, strict=True))
        self._round = _Round(by_row, batch.groups(bound), batch.drafting(bound), batch.context_tokens)
        return arms

    def observe(self, request_id: str, round_record: RoundRecord) -> None:
        """Learn from the row's round; with the last row's, from the batch's."""
        self._members[request_id].hazards.observe(round_record)
        assert self._round is not None, "a round is observed before it was chosen"
        self._round.records[request_id] = round_record
        if len(self._round.records) == len(self._round.arms):
            self._settle(self._round)

    def end(self, request_id: str) -> None:
        """Forget a row."""
        self._members.pop(request_id, None)

    # ------------------------------------------------------------------------------------------- choosing

    def _lanes(self, rows: Sequence[RowView], plain_seconds: float) -> tuple[list[Lane], float]:
        """Every row's part, and what first catch-ups in it cost, in plain rounds.

        A draft that has to take in a row's text first is left out while the guard's credit does not cover that:
        one long text must not keep the whole batch from speculating.
        """
        lanes, catch_up = [], 0.0
        for row in rows:
            member = self._members[row.request_id]
            lane = member.lane(row)
            if member.follows and lane.limit and member.draft not in member.started:
                more = catch_up + self._costs.prefill(member.draft, int(row.context_tokens)) / plain_seconds
                if self._guard.covers(len(rows), more):
                    catch_up = more
                else:
                    lane = Lane(member.draft)
            lanes.append(lane)
        return lanes, catch_up

    def _best_bound(self, batch: Batch) -> int:
        """Return the bound with the best goodput; the present one stays unless another gains enough."""
        highest = min(batch.highest, self._watchdog.max_gamma)
        goodputs = [batch.goodput(bound) for bound in range(highest + 1)]
        best = max(range(len(goodputs)), key=goodputs.__getitem__)
        stay = min(self._bound, highest)
        return best if goodputs[best] > (1 + self._settings.gamma_gain) * goodputs[stay] else stay

    def _reconsider(self, row: RowView) -> None:
        """Every few rounds, change a row's draft where what is gained pays for taking in its text."""
        member = self._members[row.request_id]
        member.rounds += 1
        if not member.follows or len(member.hazards.drafts) < 2 or member.rounds % self._settings.reconsider_rounds:
            return
        goodputs = {
            draft: self._lone_goodput(member, draft, row.context_tokens, member.random.gauss(0.0, 1.0))
            for draft in member.hazards.drafts
        }
        best = max(goodputs, key=lambda draft: goodputs[draft])
        saved = row.remaining_tokens * (1 / goodputs[member.draft] - 1 / goodputs[best])
        gain = goodputs[best] / goodputs[member.draft] - 1
        if gain > self._settings.switch_gain and saved > self._costs.prefill(best, row.context_tokens):
            member.draft = best

    def _lone_goodput(self, member: _Member, draft: str, context: float, normal: float) -> float:
        lane = Lane(draft, member.plan.max_gamma, tokens=member.hazards.drawn(draft, normal))
        alone = Batch([lane], self._costs, context)
        return max(alone.goodput(bound) for bound in range(1, alone.highest + 1))

    # -------------------------------------------------------------------------------------------- learning

    def _settle(self, played: _Round) -> None:
        """Settle the guard's account and track costs by what the whole round measured.

        Where a draft takes in a row's text for the first time, the guard is charged for it: nobody would have paid
        it in plain decoding. Costs and the watchdog look past it, and so does the guard where a caller pinned the row.
        """
        records, context = played.records, played.context_tokens
        rows, width = len(records), max(record.gamma for record in records.values())
        verify_seconds = next(iter(records.values())).verify_seconds
        measured = {r.draft_model: r.propose_seconds for r in records.values()}
        starting = {group.draft_model: self._starting(group.draft_model, played) for group in played.groups}
        steady = [group for group in played.groups if not starting[group.draft_model]]
        drafting = dict(played.drafting) | {g.draft_model: measured.get(g.draft_model, 0.0) for g in steady}
        own = {draft: measured.get(draft, 0.0) for draft, new in starting.items() if all(one.follows for one in new)}
        charged = verify_seconds + sum((drafting | own).values())
        self._charge(records, charged / self._costs.plain(rows, context))
        seconds = verify_seconds + sum(drafting.values())
        self._watchdog.observe(seconds, self._costs.verifying(rows, width, context) + sum(played.drafting.values()))
        self._costs.observe_verify(rows, width, context, verify_seconds)
        for group in steady:
            if group.draft_model in measured:  # a draft that was disabled meanwhile was not drawn on: it is not free
                self._costs.observe_draft(group, context, measured[group.draft_model])

    def _charge(self, records: Mapping[str, RoundRecord], slowness: float) -> None:
        """Settle the guard's account; what pinned rows cost is their callers' will."""
        own = [record for name, record in records.items() if self._members[name].follows]
        drafted = any(record.planned_gamma for record in own)
        self._guard.settle(len(own), sum(record.num_accepted + 1 for record in own), slowness if drafted else 1.0)

    def _starting(self, draft: str, played: _Round) -> list[_Member]:
        """Rows of this round that met the draft for the first time: their prompts were taken in with it."""
        members = [self._members[name] for name, arm in played.arms.items() if arm.draft_model == draft]
        new = [member for member in members if draft not in member.started]
        for member in new:
            member.started.add(draft)
        return new


def _first_draft(plan: Plan) -> str:
    """The plan's draft; a plan that starts plain still has one to come back with: its best."""
    if plan.draft_model != NO_DRAFT or not plan.candidates:
        return plan.draft_model
    return max(plan.candidates, key=lambda candidate: candidate.hazards[0].mean).draft_model
