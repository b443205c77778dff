"""Plans, decisions and rounds."""

from specsched.records import ArmScore, Beta, Candidate, Counterfactual, Decision, GuardBudget, Plan, RoundRecord
from specsched.v1 import common_pb2, scheduler_pb2


def plan_to_proto(plan: Plan, *, scores: bool = False) -> common_pb2.Plan:
    """Convert a plan; the scores travel to callers, not to workers."""
    return common_pb2.Plan(
        draft_model=plan.draft_model,
        gamma=plan.gamma,
        max_gamma=plan.max_gamma,
        pinned=plan.pinned,
        candidates=[_candidate_to_proto(candidate) for candidate in plan.candidates],
        seed=plan.seed,
        explored=plan.explored,
        propensity=plan.propensity,
        policy=plan.policy,
        policy_version=plan.policy_version,
        scores=[_score_to_proto(score) for score in plan.scores] if scores else [],
        round_settings=plan.round_settings,
    )


def plan_from_proto(message: common_pb2.Plan) -> Plan:
    """Convert a plan back."""
    return Plan(
        draft_model=message.draft_model,
        gamma=message.gamma,
        max_gamma=message.max_gamma,
        pinned=message.pinned,
        candidates=tuple(map(_candidate_from_proto, message.candidates)),
        seed=message.seed,
        explored=message.explored,
        propensity=message.propensity,
        policy=message.policy,
        policy_version=message.policy_version,
        scores=tuple(_score_from_proto(score) for score in message.scores),
        round_settings=message.round_settings,
    )


def decision_to_proto(decision: Decision) -> common_pb2.Decision:
    """Convert what a caller sees of a decision."""
    plan, pi = decision.plan, decision.class_probabilities
    return common_pb2.Decision(
        prompt_class=decision.prompt_class,
        class_probabilities=[
            common_pb2.ClassProbability(prompt_class=name, probability=p)
            for name, p in zip(pi.classes, pi.probabilities, strict=True)
        ],
        draft_model=plan.draft_model,
        gamma=plan.gamma,
        explored=plan.explored,
        policy=plan.policy,
        policy_version=plan.policy_version,
        config_sha=decision.config_sha,
    )


def budget_to_proto(budget: GuardBudget) -> scheduler_pb2.GuardBudget:
    """Convert whose tokens a decision may lose."""
    return scheduler_pb2.GuardBudget(worker_id=budget.worker_id, tenant=budget.tenant, tokens=budget.tokens)


def budget_from_proto(message: scheduler_pb2.GuardBudget) -> GuardBudget:
    """Convert it back."""
    return GuardBudget(message.worker_id, message.tenant, message.tokens if message.HasField("tokens") else None)


def round_to_proto(record: RoundRecord) -> common_pb2.RoundRecord:
    """Convert a round."""
    return common_pb2.RoundRecord(
        draft_model=record.draft_model,
        gamma=record.gamma,
        num_accepted=record.num_accepted,
        batch_size=record.batch_size,
        propose_seconds=record.propose_seconds,
        verify_seconds=record.verify_seconds,
        censored=record.censored,
        planned_gamma=record.planned_gamma,
        overlaps=record.overlaps,
    )


def round_from_proto(message: common_pb2.RoundRecord) -> RoundRecord:
    """Convert a round back."""
    return RoundRecord(
        draft_model=message.draft_model,
        gamma=message.gamma,
        num_accepted=message.num_accepted,
        batch_size=message.batch_size,
        propose_seconds=message.propose_seconds,
        verify_seconds=message.verify_seconds,
        censored=message.censored,
        planned_gamma=message.planned_gamma,
        overlaps=tuple(message.overlaps),
    )


def counterfactual_to_proto(record: Counterfactual) -> common_pb2.Counterfactual:
    """Convert what a draft would have brought."""
    return common_pb2.Counterfactual(
        draft_model=record.draft_model,
        rounds=record.rounds,
        accepted=record.accepted,
        rejected=record.rejected,
        undrafted=record.undrafted,
    )


def counterfactual_from_proto(message: common_pb2.Counterfactual) -> Counterfactual:
    """Convert it back."""
    masses = (tuple(message.accepted), tuple(message.rejected), tuple(message.undrafted))
    return Counterfactual(message.draft_model, message.rounds, *masses)


def _candidate_to_proto(candidate: Candidate) -> common_pb2.Candidate:
    hazards = [common_pb2.Beta(a=beta.a, b=beta.b) for beta in candidate.hazards]
    return common_pb2.Candidate(draft_model=candidate.draft_model, hazards=hazards, covariance=candidate.covariance)


def _candidate_from_proto(message: common_pb2.Candidate) -> Candidate:
    hazards = tuple(Beta(beta.a, beta.b) for beta in message.hazards)
    return Candidate(message.draft_model, hazards, tuple(message.covariance))


def _score_to_proto(score: ArmScore) -> common_pb2.ArmScore:
    return common_pb2.ArmScore(
        draft_model=score.draft_model,
        gamma=score.gamma,
        goodput_tokens_per_second=score.goodput_tokens_per_second,
        goodput_low=score.goodput_low,
        goodput_high=score.goodput_high,
        acceptance_length=score.acceptance_length,
        round_seconds=score.round_seconds,
    )


def _score_from_proto(message: common_pb2.ArmScore) -> ArmScore:
    return ArmScore(
        draft_model=message.draft_model,
        gamma=message.gamma,
        goodput_tokens_per_second=message.goodput_tokens_per_second,
        goodput_low=message.goodput_low,
        goodput_high=message.goodput_high,
        acceptance_length=message.acceptance_length,
        round_seconds=message.round_seconds,
    )
