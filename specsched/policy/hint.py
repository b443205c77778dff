"""What a caller's hint leaves to choose from. A hint narrows the choice, never the output."""

from dataclasses import dataclass

from specsched.policy.base import DecisionContext
from specsched.records import NO_DRAFT


@dataclass(frozen=True, slots=True)
class Choice:
    """Drafts and lookaheads that may be used."""

    drafts: tuple[str, ...]
    gammas: range
    pinned: bool
    """The caller named γ: rounds leave it alone."""
    plain: bool
    """Whether plain decoding may be chosen."""


def choice(context: DecisionContext, max_gamma: int) -> Choice:
    """Narrow the drafts and lookaheads of a request to what its caller asked for."""
    hint = context.hint
    gamma = hint.num_speculative_tokens
    if hint.disable or hint.draft_model == NO_DRAFT or 0 in (gamma, hint.max_num_speculative_tokens):
        return Choice((), range(0), pinned=True, plain=True)
    drafts = context.drafts if hint.draft_model is None else (hint.draft_model,)
    if gamma is not None:
        return Choice(drafts, range(gamma, gamma + 1), pinned=True, plain=False)
    highest = min(max_gamma, hint.max_num_speculative_tokens or max_gamma)
    return Choice(drafts, range(1, highest + 1), pinned=False, plain=True)
