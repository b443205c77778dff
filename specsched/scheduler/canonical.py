"""The one line that every complete request leaves in the log. Never its text."""

import structlog

from specsched.records import Completion
from specsched.scheduler.account import Account
from specsched.scheduler.case import Case
from specsched.telemetry.tracing.base import trace_id_of

log = structlog.get_logger()


def write_canonical_line(case: Case, account: Account, completion: Completion, trace_parent: str) -> None:
    """Say what a request was and how it went."""
    plan = completion.decision.plan
    log.info(
        "request_complete",
        request_id=case.request.request_id,
        tenant=case.request.tenant,
        trace_id=trace_id_of(trace_parent),
        worker=account.worker_id,
        prompt_class=completion.decision.prompt_class,
        draft_model=plan.draft_model,
        gamma=plan.gamma,
        finish_reason=completion.finish_reason.value,
        prompt_tokens=completion.usage.prompt_tokens,
        completion_tokens=completion.usage.completion_tokens,
        acceptance_length=round(completion.speculation.mean_acceptance_length, 3),
        queue_seconds=round(completion.timings.queue_seconds, 4),
        time_to_first_token_seconds=round(completion.timings.time_to_first_token_seconds, 4),
        tokens_per_second=round(completion.timings.tokens_per_second, 2),
        **({"synthetic_acceptance": True} if completion.synthetic else {}),
    )
