"""What goes from scheduler to worker."""

from dataclasses import dataclass

from specsched.records.decision import Plan
from specsched.records.request import DEFAULT_MAX_TOKENS, Sampling


@dataclass(frozen=True, slots=True)
class Job:
    """One request as a worker sees it: token ids only.

    Prompt and completion stand apart, so that penalties, limits and noise positions continue on a resume.
    """

    request_id: str
    prompt_ids: tuple[int, ...]
    sampling: Sampling
    plan: Plan
    noise_seed: int
    """Keys all noise of this request: the caller's seed, or one drawn by the scheduler."""
    generated_ids: tuple[int, ...] = ()
    max_tokens: int = DEFAULT_MAX_TOKENS
    """Of the whole completion, generated_ids included."""
    min_tokens: int = 0
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    logprobs: int | None = None
    time_limit_seconds: float | None = None
    """Time left for the whole completion."""
    tenant: str = ""
    trace_parent: str = ""
    """W3C traceparent of whoever dispatches it. Travels in the call's metadata."""


@dataclass(frozen=True, slots=True)
class DraftSwitches:
    """Which drafts rounds may use, on every worker."""

    speculation: bool = True
    """Off: none."""
    disabled: frozenset[str] = frozenset()

    def allow(self, draft_model: str) -> bool:
        """Whether rounds may use a draft."""
        return self.speculation and draft_model not in self.disabled
