"""What is wrong with a job by the contract alone. Schedulers send none such; whoever else reaches a worker may."""

import math
from collections.abc import Iterator

from specsched.errors import InvalidRequest, Violation
from specsched.v1 import common_pb2, worker_pb2
from specsched.wire.validation import MAX_GAMMA, MAX_LOGPROBS, sampling_violations


def check_job_message(message: worker_pb2.ExecuteRequest) -> None:
    """Refuse numbers that no engine can work with.

    Raises:
        InvalidRequest: every violation, by its field's path.
    """
    if violations := [*sampling_violations(message), *_limits(message), *_plan(message.plan)]:
        raise InvalidRequest(violations)


def _limits(message: worker_pb2.ExecuteRequest) -> Iterator[Violation]:
    if message.max_tokens < 1:
        yield Violation("max_tokens", f"is {message.max_tokens}; at least 1")
    elif len(message.generated_ids) >= message.max_tokens:
        yield Violation("generated_ids", f"has {len(message.generated_ids)} tokens of {message.max_tokens}")
    if message.min_tokens < 0:
        yield Violation("min_tokens", f"is {message.min_tokens}; at least 0")
    if message.HasField("logprobs") and not 0 <= message.logprobs <= MAX_LOGPROBS:
        yield Violation("logprobs", f"is {message.logprobs}; 0 to {MAX_LOGPROBS}")
    if message.HasField("time_limit_seconds") and math.isnan(message.time_limit_seconds):
        yield Violation("time_limit_seconds", "is no number")


def _plan(plan: common_pb2.Plan) -> Iterator[Violation]:
    for name in ("gamma", "max_gamma"):
        if not 0 <= getattr(plan, name) <= MAX_GAMMA:
            yield Violation(f"plan.{name}", f"is {getattr(plan, name)}; 0 to {MAX_GAMMA}")
    for i, candidate in enumerate(plan.candidates):
        if not all(0.0 < beta.a < math.inf and 0.0 < beta.b < math.inf for beta in candidate.hazards):
            yield Violation(f"plan.candidates[{i}].hazards", "has counts that are not positive and finite")
        if not all(map(math.isfinite, candidate.covariance)) or len(candidate.covariance) not in {
            0,
            len(plan.candidates),
        }:
            yield Violation(f"plan.candidates[{i}].covariance", "is not one finite number per candidate")
