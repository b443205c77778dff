"""Acceptance records, as subscribers get them."""

from specsched.records import AcceptanceRecord
from specsched.v1 import common_pb2, telemetry_pb2
from specsched.wire.plan import counterfactual_to_proto, plan_to_proto, round_to_proto


def acceptance_to_proto(record: AcceptanceRecord, dropped_records: int) -> telemetry_pb2.StreamAcceptanceResponse:
    """Convert a record, and say how many its reader has lost so far."""
    decision, pi = record.decision, record.decision.class_probabilities
    return telemetry_pb2.StreamAcceptanceResponse(
        request_id=decision.request_id,
        tenant=decision.tenant,
        class_probabilities=[
            common_pb2.ClassProbability(prompt_class=name, probability=p)
            for name, p in zip(pi.classes, pi.probabilities, strict=True)
        ],
        round=round_to_proto(record.round),
        sampled=decision.sampled,
        propensity=decision.plan.propensity,
        seed=decision.plan.seed,
        policy_version=decision.plan.policy_version,
        dropped_records=dropped_records,
        coupled=decision.coupled,
        run_id=record.run_id,
        number=record.number,
        unix_seconds=record.unix_seconds,
        round_index=record.round_index,
        worker_id=record.worker_id,
        context_tokens=record.context_tokens,
        committed_tokens=record.committed_tokens,
        plain_seconds=record.plain_seconds,
        decision_number=decision.number,
        rounds_before=decision.rounds_before,
        config_sha=decision.config_sha,
        plan=plan_to_proto(decision.plan) if record.round_index == 0 else None,
        hindsight=[counterfactual_to_proto(outcome) for outcome in record.hindsight],
    )
