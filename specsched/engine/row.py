"""One running request, as the engine sees it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

from specsched.engine.base import Deliver
from specsched.engine.draw import Gumbel, Spot
from specsched.engine.kv import KVRow
from specsched.engine.law import History, Span
from specsched.engine.noise import gumbel
from specsched.policy.base import RowView
from specsched.records import Job

_KEPT_POSITIONS = 32
"""Positions whose noise is kept: those of a round."""


@dataclass(eq=False, slots=True)
class Row:
    """Tokens, history and KV of one request. Between rounds `kv` lacks exactly the last token."""

    job: Job
    deliver: Deliver
    history: History
    kv: KVRow
    max_tokens: int
    """The job's, cut to the target's context."""
    stop_ids: frozenset[int]
    started: float
    tokens: list[int] = field(init=False)
    """Prompt and completion."""
    position: int = field(init=False)
    """Output position of the next token."""
    paused: bool = False
    cached_tokens: int = 0
    """Tokens of the prompt that were known already."""
    learnt: bool = False
    """Whether others may begin with what this row has read."""
    chances: list[float] = field(default_factory=list)
    """The target's law of each token that was drawn from it here, by rejection sampling alone."""

    gumbel: Gumbel = field(init=False)
    """Its noise. Target and draft ask of the same positions, and the next round of those that were rejected."""

    def __post_init__(self) -> None:
        """Begin with what a resumed request brings along."""
        self.tokens = [*self.job.prompt_ids, *self.job.generated_ids]
        self.position = len(self.job.generated_ids)
        self.gumbel = lru_cache(_KEPT_POSITIONS)(partial(gumbel, self.job.noise_seed))

    @property
    def remaining(self) -> int:
        """Tokens until max_tokens."""
        return self.max_tokens - self.position

    @property
    def unread(self) -> int:
        """Tokens that the target has not taken in yet; 1 when the row is ready for a round."""
        return len(self.tokens) - self.kv.length

    @property
    def plain(self) -> bool:
        """Whether its next token is the arg max of raw logits: nothing is shaped or perturbed."""
        return self.job.sampling.greedy and not self.history.edits

    @property
    def retraceable(self) -> int:
        """Tokens at its end that hindsight may go over: where the target has no law it has a choice, and all are."""
        return self.position if self.job.sampling.coupled else len(self.chances)

    @property
    def view(self) -> RowView:
        """What the round controller may know."""
        return RowView(self.job.request_id, len(self.tokens), self.remaining, self.job.tenant)

    def spot(self, ahead: int) -> Spot:
        """Name the position that comes `ahead` tokens after the completion."""
        return Spot(self.job.sampling.greedy, self.gumbel, self.position + ahead)

    def span(self, drafted: list[int], count: int) -> Span:
        """Describe `count` consecutive positions, the last one after all of `drafted`."""
        return Span(self.job.sampling, self.history, count, tuple(drafted))

    def commit(self, tokens: list[int], chances: Sequence[float] = ()) -> None:
        """Append tokens that stand, and the target's law of them where it has one."""
        self.tokens += tokens
        self.chances += chances
        self.position += len(tokens)
        self.history.commit(tokens)
