"""What a caller asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from specsched.records.caller import ANYBODY, Caller

DEFAULT_MAX_TOKENS = 256


DEFAULT_TEMPERATURE = 1.0


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """A prompt as text, tokenised as it stands (no chat template)."""

    text: str


@dataclass(frozen=True, slots=True)
class TokenPrompt:
    """A prompt that the caller tokenised."""

    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A conversation, rendered by the tokenizer's chat template with its generation prompt."""

    messages: tuple[ChatMessage, ...]


Prompt = TextPrompt | TokenPrompt | ChatPrompt


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a token is drawn from the target's logits. The defaults leave the target's law as it is.

    Order: logit_bias → penalties → temperature → min_p → top_k → top_p (vLLM's).
    """

    temperature: float = DEFAULT_TEMPERATURE
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps the whole vocabulary."""
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    """Over prompt and completion; positive logits are divided, negative ones multiplied (CTRL, arXiv 1909.05858)."""
    presence_penalty: float = 0.0
    """Over the completion only."""
    frequency_penalty: float = 0.0
    """Over the completion only."""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    """With a seed the tokens depend on seed and prompt alone, whatever draft, gamma, batch or worker serves them."""

    @property
    def greedy(self) -> bool:
        """Whether every token is the arg max."""
        return self.temperature == 0.0

    @property
    def coupled(self) -> bool:
        """Whether the target's token is a function of (seed, prefix): greedy, or seeded (arXiv 2408.07978)."""
        return self.greedy or self.seed is not None


@dataclass(frozen=True, slots=True)
class Stopping:
    """When a completion ends."""

    max_tokens: int = DEFAULT_MAX_TOKENS
    min_tokens: int = 0
    """Before this many tokens neither EOS nor a stop token nor a stop string ends the completion."""
    stop: tuple[str, ...] = ()
    """Stop strings; the match itself is not part of the text."""
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    max_time_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What the caller wants to see beside text and token ids."""

    logprobs: int | None = None
    """Top alternatives per token; 0 gives the chosen token's alone; None gives none."""
    echo: bool = False
    """Whether the first chunk carries the prompt."""
    include_rounds: bool = False
    complete_only: bool = False
    """Whether the completion alone is sent, without chunks."""


@dataclass(frozen=True, slots=True)
class SpeculationHint:
    """What the caller says about speculation. It narrows the policy's choice, never the output."""

    disable: bool = False
    draft_model: str | None = None
    num_speculative_tokens: int | None = None
    """Pins gamma."""
    max_num_speculative_tokens: int | None = None
    disable_exploration: bool = False
    """Play what is believed to be best; learn nothing at this request's expense."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of Generate or Decide, validated."""

    request_id: str
    prompt: Prompt
    sampling: Sampling = Sampling()
    stopping: Stopping = Stopping()
    output: Output = Output()
    speculation: SpeculationHint = SpeculationHint()
    prompt_class: str | None = None
    tenant: str = ""
    priority: int = 0
    deadline_seconds: float | None = None
    """Time left when the call arrived."""
    trace_parent: str = ""
    """W3C traceparent of the caller; empty outside of any trace."""
    caller: Caller = ANYBODY
