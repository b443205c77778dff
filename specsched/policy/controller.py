"""What runs inside a worker: every row's arm, every round."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from specsched.policy.base import Arm, RoundController, RowView
from specsched.policy.batch import Batch, Lane
from specsched.policy.casting import Casting
from specsched.policy.cost import CostModel, Group, TrackedCosts
from specsched.policy.endings import Endings
from specsched.policy.guards import Guards, Shares, by_tenant
from specsched.policy.member import Member
from specsched.policy.rivals import Rivals
from specsched.policy.settings import PolicySettings
from specsched.policy.watchdog import Watchdog
from specsched.records import CostGrid, Counterfactual, Plan, RoundRecord


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
class _Round:
    """The round that is under way: its rows, and what is known of each, in one order."""

    rows: Sequence[RowView]
    members: Sequence[Member]
    arms: Sequence[Arm]
    context_tokens: float
    plain_seconds: float
    records: dict[str, RoundRecord] = field(default_factory=dict)

    def drafted(self) -> Iterator[tuple[Group, RoundRecord | None]]:
        """Rows by draft, with what they drafted in the end, and the record of the row that drafted most.

        That may be less than was planned; a draft that was disabled meanwhile has no record.
        """
        longest: dict[str, RoundRecord] = {}
        for record in self.records.values():
            known = longest.get(record.draft_model)
            if known is None or record.gamma > known.gamma:
                longest[record.draft_model] = record
        asked = [arm.draft_model for arm in self.arms if arm.gamma]
        for draft in dict.fromkeys(asked):
            most = longest.get(draft)
            yield Group(draft, asked.count(draft), most.gamma if most else 0), most


class AdaptiveController:
    """One shared bound on γ per round, chosen for the batch as it is now, within what the rows' guards allow."""

    def __init__(self, settings: PolicySettings, costs: CostGrid, seed: int) -> None:  # noqa: ARG002 - draws come with exploration inside a request
        self._settings = settings
        self._costs = TrackedCosts(CostModel(costs))
        self._guards = Guards(settings)
        self._watchdog = Watchdog(settings)
        self._rivals = Rivals(settings)
        self._endings = Endings()
        self._members: dict[str, Member] = {}
        self._bound = 0
        self._vetoes = 0
        self._rows: Shares = {}
        """Of the last round, by tenant."""
        self._round: _Round | None = None

    @property
    def credits(self) -> Mapping[str, float]:
        """Z of every tenant's guard, in tokens."""
        return self._guards.credits

    @property
    def vetoes(self) -> int:
        """Rounds in which a guard forbade speculation."""
        return self._vetoes

    @property
    def profile_wanted(self) -> bool:
        """Whether rounds have cost clearly more than predicted, so that costs should be measured anew."""
        return self._watchdog.profile_wanted

    @property
    def costs(self) -> TrackedCosts:
        """What rounds cost, as far as the clock has told."""
        return self._costs

    @property
    def endings(self) -> Endings:
        """When completions end."""
        return self._endings

    def reprice(self, costs: CostGrid) -> None:
        """Go on with costs that were measured anew: what was tracked of the old ones is past."""
        self._costs = TrackedCosts(CostModel(costs), self._costs.shortfalls)
        self._watchdog = Watchdog(self._settings)

    def inherit(self, before: RoundController) -> None:
        """Take over the guards' credit and what is known of costs: other settings are no reason to spend anew."""
        if isinstance(before, AdaptiveController):
            self._guards.inherit(before.credits)
            self._costs, self._vetoes, self._endings = before.costs, before.vetoes, before.endings

    def begin(self, request_id: str, plan: Plan, *, sampled: bool) -> None:
        """Take a row with its plan; what it believes is of the row's regime."""
        self._members[request_id] = Member.of(plan, self._settings, sampled=sampled)
        self._bound = max(self._bound, plan.gamma)

    def choose(self, rows: Sequence[RowView]) -> list[Arm]:
        """Choose one arm per row for the round that comes."""
        members = [self._members[row.request_id] for row in rows]
        self._cast(rows, members)
        self._rows = by_tenant([(row.tenant, 1) for row in rows])
        context = sum([row.context_tokens for row in rows]) / len(rows)
        plain_seconds = self._costs.plain(len(rows), context)
        lanes, catch_up = self._lanes(rows, members, plain_seconds)
        batch = Batch(lanes, self._costs, context)
        self._bound = self._best_bound(batch)
        allowed = self._guards.allow(self._rows, batch.seconds[self._bound] / plain_seconds + catch_up)
        self._vetoes += not allowed
        arms = batch.arms(self._bound if allowed else 0)
        self._round = _Round(rows, members, arms, context, plain_seconds)
        return arms

    def observe(self, request_id: str, round_record: RoundRecord) -> None:
        """Learn from the row's round; with the last row's, from the batch's."""
        self._members[request_id].observe(round_record)
        self._costs.shortfalls.observe(round_record)
        assert self._round is not None, "a round is observed before it was chosen"
        self._round.records[request_id] = round_record
        if len(self._round.records) == len(self._round.arms):
            self._settle(self._round)

    def rivals(self, request_id: str, context_tokens: int) -> tuple[str, ...]:
        """Drafts that are worth the time to look at a request that they did not play."""
        member = self._members.get(request_id)
        if member is None or not member.follows:
            return ()
        rows = sum(self._rows.values())
        covered = self._guards.covered(self._rows) * self._costs.plain(rows, context_tokens)
        return self._rivals.chosen(
            member.plan.candidates, member.started, context_tokens, self._costs, rows, covered, sampled=member.sampled
        )

    def looked_back(self, request_id: str, context_tokens: int, seconds: float, outcome: Counterfactual) -> None:
        """Take the time from the account, and from the guards': rows may have waited for it."""
        draft = outcome.draft_model
        self._costs.shortfalls.look_back(outcome)
        expected = self._costs.prefill(draft, context_tokens)
        self._rivals.spend(seconds, expected, draft, sampled=self._members[request_id].sampled)
        self._guards.settle(self._rows, {}, seconds / self._costs.plain(sum(self._rows.values()), context_tokens))

    def end(self, request_id: str) -> None:
        """Forget a row, but for how long it was."""
        member = self._members.pop(request_id, None)
        if member is not None and member.made:
            self._endings.observe(member.made, cut=member.remaining <= 0)

    # ------------------------------------------------------------------------------------------- choosing

    def _lanes(
        self, rows: Sequence[RowView], members: Sequence[Member], plain_seconds: float
    ) -> tuple[list[Lane], float]:
        """Every row's part, and what first catch-ups in it cost, in plain rounds.

        A draft that has to take in a row's text first is left out while a guard's credit does not cover that:
        one long text must not keep the whole batch from speculating.
        """
        lanes, catch_up = [], 0.0
        for row, member in zip(rows, members, strict=True):
            lane = member.lane(row)
            if member.follows and lane.limit and member.draft not in member.started:
                more = catch_up + self._costs.prefill(member.draft, int(row.context_tokens)) / plain_seconds
                if self._guards.cover(self._rows, more):
                    catch_up = more
                else:
                    lane = Lane(member.draft)
            lanes.append(lane)
        return lanes, catch_up

    def _best_bound(self, batch: Batch) -> int:
        """Return the bound with the best goodput; the present one stays unless another gains enough.

        Nothing need be gained to go back to plain decoding: speculation that doesn't pay is not kept.
        """
        highest = min(batch.highest, self._watchdog.max_gamma)
        goodputs = batch.goodputs()[: highest + 1]
        best = goodputs.index(max(goodputs))
        stay = min(self._bound, highest)
        gain = self._settings.gamma_gain if best else 0.0
        return best if goodputs[best] > (1 + gain) * goodputs[stay] else stay

    def _cast(self, rows: Sequence[RowView], members: Sequence[Member]) -> None:
        """Every few rounds, look at a row's draft again; where a row joins others, at once."""
        due = [place for place, member in enumerate(members) if self._is_due(member, alone=len(rows) == 1)]
        for member, row in zip(members, rows, strict=True):
            member.rounds += 1
            member.remaining = row.remaining_tokens
        if due:
            left = sum(self._endings.expected(row.remaining_tokens) for row in rows)
            Casting(members, rows, self._costs, self._settings, left).improve(due)

    def _is_due(self, member: Member, *, alone: bool) -> bool:
        """A lone row's first draft is its plan's: it may be there to be tried."""
        return member.turn(self._settings) and not (alone and (member.rounds == 0 or len(member.hazards.drafts) == 1))

    # -------------------------------------------------------------------------------------------- learning

    def _settle(self, played: _Round) -> None:
        """Settle the guards' accounts and track costs by what the whole round measured, for what it really drafted.

        Where a draft takes in a row's text for the first time, the guards are charged for it: nobody would have paid
        it in plain decoding. Costs and the watchdog look past it, and so do the guards where a caller pinned the row.
        """
        rows, context = len(played.records), played.context_tokens
        width = max([record.gamma for record in played.records.values()])
        verify_seconds = next(iter(played.records.values())).verify_seconds
        charged = usual = predicted = 0.0
        steady: list[tuple[Group, float]] = []
        for group, record in played.drafted():
            took = record.propose_seconds if record else 0.0
            expected = self._costs.drafting(group.draft_model, group.rows, group.gamma, context)
            new = _starting(group.draft_model, played)
            predicted += expected
            usual += expected if new else took
            charged += took if all(one.follows for one in new) else expected
            if record and not new:  # one that was disabled meanwhile was not drawn on: it is not free
                steady.append((group, took))
        self._charge(played, (verify_seconds + charged) / played.plain_seconds)
        self._rivals.earn(verify_seconds + usual)
        self._watchdog.observe(verify_seconds + usual, self._costs.verifying(rows, width, context) + predicted)
        self._costs.observe_verify(rows, width, context, verify_seconds)
        for group, took in steady:
            self._costs.observe_draft(group, context, took)

    def _charge(self, played: _Round, slowness: float) -> None:
        """Settle the guards' accounts; what pinned rows cost is their callers' will."""
        rows: dict[str, int] = {}
        tokens: dict[str, int] = {}
        drafted = False
        for row, member in zip(played.rows, played.members, strict=True):
            if member.follows:
                record = played.records[row.request_id]
                rows[row.tenant] = rows.get(row.tenant, 0) + 1
                tokens[row.tenant] = tokens.get(row.tenant, 0) + record.num_accepted + 1
                drafted = drafted or record.planned_gamma > 0
        self._guards.settle(rows, tokens, slowness if drafted else 1.0)


def _starting(draft: str, played: _Round) -> list[Member]:
    """Rows of this round that met the draft for the first time: their prompts were taken in with it."""
    seats = zip(played.arms, played.members, strict=True)
    new = [member for arm, member in seats if arm.draft_model == draft and draft not in member.started]
    for member in new:
        member.started.add(draft)
    return new
