"""Checking a job against the models that are here, before it becomes a row."""

from specsched.errors import InvalidRequest, Violation
from specsched.records import NO_DRAFT, Job


def check_job(job: Job, *, vocab_size: int, max_context_tokens: int, kv_capacity_tokens: int, drafts: set[str]) -> None:
    """Refuse what could not run.

    Raises:
        InvalidRequest: every violation, by its field in the public contract.
    """
    violations = []
    if not job.prompt_ids:
        violations.append(Violation("prompt", "is empty"))
    outside = next((i for i in (*job.prompt_ids, *job.generated_ids) if not 0 <= i < vocab_size), None)
    if outside is not None:
        violations.append(Violation("prompt.token_ids", f"{outside} is outside the vocabulary of {vocab_size}"))
    room = min(max_context_tokens, kv_capacity_tokens)
    if len(job.prompt_ids) >= room:
        violations.append(
            Violation("prompt", f"has {len(job.prompt_ids)} tokens; the context holds {room} with the completion")
        )
    if any(not 0 <= token < vocab_size for token in job.sampling.logit_bias):
        violations.append(Violation("sampling.logit_bias", f"names a token outside the vocabulary of {vocab_size}"))
    if any(not 0 <= token < vocab_size for token in job.stop_token_ids):
        violations.append(Violation("stopping.stop_token_ids", f"names a token outside the vocabulary of {vocab_size}"))
    named = {job.plan.draft_model, *(c.draft_model for c in job.plan.candidates)} - {NO_DRAFT}
    violations += [
        Violation("speculation.draft_model", f"{name} is not in the pool") for name in sorted(named - drafts)
    ]
    if violations:
        raise InvalidRequest(violations)
