"""A request that ended while it waited: its account for the caller, and its line for the log."""

import structlog

from specsched.records import Completion, Decision, FinishReason, Plan, Request, Usage
from specsched.scheduler.account import Account
from specsched.scheduler.reading import Reading

log = structlog.get_logger()


def unserved(request: Request, reading: Reading, account: Account, config_sha: str, *, aborted: bool) -> Completion:
    """Sum up: no tokens, and no decision beyond the prompt's class."""
    completion = Completion(
        text="",
        token_ids=(),
        finish_reason=FinishReason.ABORTED if aborted else FinishReason.TIME_LIMIT,
        usage=Usage(len(reading.token_ids), 0),
        decision=Decision(reading.class_probabilities, Plan(policy=""), config_sha),
        speculation=account.metrics(),
        timings=account.timings(0),
    )
    log.info(
        "request_unserved",
        request_id=request.request_id,
        tenant=request.tenant,
        finish_reason=completion.finish_reason.value,
        queue_seconds=round(completion.timings.queue_seconds, 4),
    )
    return completion
