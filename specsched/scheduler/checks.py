"""What is wrong with a request given the pool: vocabulary, context, drafts. Every violation at once."""

from collections.abc import Iterator, Sequence

from specsched.errors import InvalidRequest, Violation
from specsched.records import NO_DRAFT, Request, WorkerInfo


def check_request(request: Request, prompt_ids: Sequence[int], worker: WorkerInfo) -> None:
    """Refuse what the worker could not run.

    Raises:
        InvalidRequest: every violation, by its field's path.
    """
    violations = list(_violations(request, prompt_ids, worker))
    if violations:
        raise InvalidRequest(violations)


def _violations(request: Request, prompt_ids: Sequence[int], worker: WorkerInfo) -> Iterator[Violation]:
    room = min(worker.max_context_tokens, worker.kv_capacity_tokens)
    if not prompt_ids:
        yield Violation("prompt", "has no tokens")
    elif len(prompt_ids) >= room:
        yield Violation("prompt", f"has {len(prompt_ids)} tokens; the context holds {room}, completion included")
    for field, ids in (
        ("token_ids.ids", prompt_ids),
        ("stopping.stop_token_ids", request.stopping.stop_token_ids),
        ("sampling.logit_bias", request.sampling.logit_bias),
    ):
        outside = next((token for token in ids if not 0 <= token < worker.vocab_size), None)
        if outside is not None:
            yield Violation(field, f"{outside} is outside the vocabulary of {worker.vocab_size} tokens")
    draft = request.speculation.draft_model
    known = [info.id for info in worker.drafts]
    if draft is not None and draft not in (*known, NO_DRAFT):
        yield Violation("speculation.draft_model", f"{draft!r} is not in the pool: {', '.join(known) or 'no drafts'}")
