"""Acceptance records ↔ flat rows, as files hold them. The columns are public: replays and notebooks read them."""

from collections.abc import Mapping
from typing import Any

from specsched.records import (
    AcceptanceRecord,
    Beta,
    Candidate,
    ClassProbabilities,
    Counterfactual,
    DecisionRecord,
    Plan,
    RoundRecord,
    SpeculationHint,
)

Row = dict[str, Any]
"""Strings, numbers, booleans, None, lists of these; `candidates`, a list of {draft_model, a, b}; `hindsight`, a list of
{draft_model, rounds, accepted, rejected, undrafted}."""


def row_of(record: AcceptanceRecord) -> Row:
    """Flatten a record. The candidates' priors stand on a request's first round alone: they are most of the bytes."""
    return {
        "run_id": record.run_id,
        "number": record.number,
        "unix_seconds": record.unix_seconds,
        **_decision_row(record.decision),
        **_plan_row(record.decision.plan, whole=record.round_index == 0),
        "round_index": record.round_index,
        "worker_id": record.worker_id,
        "context_tokens": record.context_tokens,
        "committed_tokens": record.committed_tokens,
        **_round_row(record.round),
        "plain_seconds": record.plain_seconds,
        "hindsight": [_counterfactual_row(outcome) for outcome in record.hindsight] or None,
    }


def record_of(row: Mapping[str, Any], decision: DecisionRecord) -> AcceptanceRecord:
    """Make a record of its row and its request's decision."""
    return AcceptanceRecord(
        run_id=row["run_id"],
        number=row["number"],
        unix_seconds=row["unix_seconds"],
        decision=decision,
        round_index=row["round_index"],
        worker_id=row["worker_id"],
        context_tokens=row["context_tokens"],
        committed_tokens=row["committed_tokens"],
        round=RoundRecord(
            draft_model=row["draft_model"],
            gamma=row["gamma"],
            num_accepted=row["num_accepted"],
            batch_size=row["batch_size"],
            propose_seconds=row["propose_seconds"],
            verify_seconds=row["verify_seconds"],
            censored=row["censored"],
            planned_gamma=row["planned_gamma"],
            overlaps=tuple(row["overlaps"]),
        ),
        plain_seconds=row["plain_seconds"],
        hindsight=tuple(map(_counterfactual_of, row.get("hindsight") or ())),  # older files have no such column
    )


def decision_of(row: Mapping[str, Any]) -> DecisionRecord:
    """Make the decision of a row; with its candidates where the row is a request's first."""
    return DecisionRecord(
        request_id=row["request_id"],
        tenant=row["tenant"],
        number=row["decision_number"],
        rounds_before=row["rounds_before"],
        class_probabilities=ClassProbabilities(tuple(row["prompt_classes"]), tuple(row["class_probabilities"])),
        sampled=row["sampled"],
        coupled=row["coupled"],
        hint=SpeculationHint(
            disable=row["hint_disable"],
            draft_model=row["hint_draft_model"],
            num_speculative_tokens=row["hint_gamma"],
            max_num_speculative_tokens=row["hint_max_gamma"],
        ),
        drafts=tuple(row["drafts"]),
        draft_versions=tuple(row["draft_versions"]),
        worker_id=row["decided_for_worker_id"],
        cost_version=row["cost_version"],
        running_rows=row["running_rows"],
        prompt_tokens=row["prompt_tokens"],
        expected_tokens=row["expected_tokens"],
        plan=_plan_of(row),
        config_sha=row["config_sha"],
    )


def _decision_row(decision: DecisionRecord) -> Row:
    pi, hint = decision.class_probabilities, decision.hint
    return {
        "request_id": decision.request_id,
        "tenant": decision.tenant,
        "decision_number": decision.number,
        "rounds_before": decision.rounds_before,
        "prompt_class": pi.best,
        "prompt_classes": list(pi.classes),
        "class_probabilities": list(pi.probabilities),
        "sampled": decision.sampled,
        "coupled": decision.coupled,
        "hint_disable": hint.disable,
        "hint_draft_model": hint.draft_model,
        "hint_gamma": hint.num_speculative_tokens,
        "hint_max_gamma": hint.max_num_speculative_tokens,
        "drafts": list(decision.drafts),
        "draft_versions": list(decision.draft_versions),
        "decided_for_worker_id": decision.worker_id,
        "cost_version": decision.cost_version,
        "running_rows": decision.running_rows,
        "prompt_tokens": decision.prompt_tokens,
        "expected_tokens": decision.expected_tokens,
        "config_sha": decision.config_sha,
    }


def _plan_row(plan: Plan, *, whole: bool) -> Row:
    return {
        "plan_draft_model": plan.draft_model,
        "plan_gamma": plan.gamma,
        "plan_max_gamma": plan.max_gamma,
        "plan_pinned": plan.pinned,
        "candidates": [_candidate_row(candidate) for candidate in plan.candidates] if whole else None,
        "seed": plan.seed,
        "explored": plan.explored,
        "propensity": plan.propensity,
        "policy": plan.policy,
        "policy_version": plan.policy_version,
    }


def _candidate_row(candidate: Candidate) -> Row:
    return {
        "draft_model": candidate.draft_model,
        "a": [beta.a for beta in candidate.hazards],
        "b": [beta.b for beta in candidate.hazards],
    }


def _plan_of(row: Mapping[str, Any]) -> Plan:
    return Plan(
        draft_model=row["plan_draft_model"],
        gamma=row["plan_gamma"],
        max_gamma=row["plan_max_gamma"],
        pinned=row["plan_pinned"],
        candidates=tuple(
            Candidate(each["draft_model"], tuple(map(Beta, each["a"], each["b"]))) for each in row["candidates"] or ()
        ),
        seed=row["seed"],
        explored=row["explored"],
        propensity=row["propensity"],
        policy=row["policy"],
        policy_version=row["policy_version"],
    )


def _round_row(record: RoundRecord) -> Row:
    return {
        "draft_model": record.draft_model,
        "gamma": record.gamma,
        "planned_gamma": record.planned_gamma,
        "num_accepted": record.num_accepted,
        "censored": record.censored,
        "batch_size": record.batch_size,
        "propose_seconds": record.propose_seconds,
        "verify_seconds": record.verify_seconds,
        "overlaps": list(record.overlaps),
    }


def _counterfactual_row(outcome: Counterfactual) -> Row:
    return {
        "draft_model": outcome.draft_model,
        "rounds": outcome.rounds,
        "accepted": list(outcome.accepted),
        "rejected": list(outcome.rejected),
        "undrafted": list(outcome.undrafted),
    }


def _counterfactual_of(row: Mapping[str, Any]) -> Counterfactual:
    masses = (tuple(row["accepted"]), tuple(row["rejected"]), tuple(row.get("undrafted") or ()))  # older files: none
    return Counterfactual(row["draft_model"], row["rounds"], *masses)
