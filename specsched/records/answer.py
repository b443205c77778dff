"""What a caller gets."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from specsched.records.decision import Decision
from specsched.records.round import FinishReason, RoundRecord, TokenLogprob


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class SpeculationMetrics:
    """vLLM's per-request speculative decoding figures, by its names and definitions."""

    num_spec_steps: int = 0
    """Rounds with gamma > 0."""
    num_draft_tokens: int = 0
    num_accepted_draft_tokens: int = 0
    acceptance_histogram: tuple[int, ...] = ()
    """Rounds by number of accepted tokens: index n counts the rounds that accepted n."""
    acceptance_histogram_by_draft_length: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """gamma → histogram."""

    @property
    def mean_acceptance_length(self) -> float:
        """1 + accepted ÷ rounds, bonus included; 1 when nothing was speculated."""
        return 1.0 + self.num_accepted_draft_tokens / self.num_spec_steps if self.num_spec_steps else 1.0

    @property
    def draft_acceptance_rate(self) -> float:
        """Accepted ÷ drafted; not a hazard (POLICY.md)."""
        return self.num_accepted_draft_tokens / self.num_draft_tokens if self.num_draft_tokens else 0.0


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a request's time went."""

    queue_seconds: float
    time_to_first_token_seconds: float
    decode_seconds: float
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class TextChunk:
    """What a caller sees of one round: text that can no longer change, and its tokens."""

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[TokenLogprob, ...] = ()
    round: RoundRecord | None = None
    more: bool = False
    """Whether the next one is here already: the two can be sent as one."""


@dataclass(frozen=True, slots=True)
class Completion:
    """The last message of a Generate call: the whole completion and its account."""

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    usage: Usage
    decision: Decision
    speculation: SpeculationMetrics
    timings: Timings
    matched_stop: str | int | None = None
    """The stop string or the stop token that ended it."""
    synthetic: bool = False
    """Whether acceptance was made up, for a load test: the completion is invalid."""
