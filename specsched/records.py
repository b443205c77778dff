"""Records that cross package borders. Frozen, slotted, free of imports from above.

Vocabulary (see ARCHITECTURE.md): *target*, *draft*, *proposer*, *gamma*, *round*, *accepted*, *recovered*,
*bonus*, *arm*, *plan*, *prompt class*, *hazard*, *goodput*, *acceptance length*.

Units stand in names (``_seconds``, ``_tokens``). Times are intervals of a monotonic clock, never of the wall.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

SYNTHETIC_PREFIX = "synthetic-"
"""Begins the numerics_id of workers whose acceptance is made up: their completions are invalid."""

NO_DRAFT = "none"
"""The draft's name in an arm that does not speculate. Its gamma is 0."""

DEFAULT_MAX_TOKENS = 256
DEFAULT_TEMPERATURE = 1.0


# --------------------------------------------------------------------------------------------- the request


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


class Role(StrEnum):
    """What a caller may use: a service each."""

    GENERATE = "generate"
    ADMIN = "admin"
    TELEMETRY = "telemetry"


@dataclass(frozen=True, slots=True)
class Quota:
    """What one caller may take. None is no limit."""

    max_requests: int | None = None
    """Admitted and not yet complete."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Prompt and completion together."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as far as credentials tell."""

    name: str
    """For logs and the audit; empty where nobody was asked."""
    roles: frozenset[Role]
    tenants: tuple[str, ...] | None
    """On whose behalf it may call; None: anybody's."""
    max_priority: int
    quota: Quota = Quota()

    def tenant(self, wanted: str) -> str | None:
        """Return the tenant that a call is for, None where it may not call for that one."""
        if self.tenants is None:
            return wanted
        return (wanted if wanted in self.tenants else None) if wanted else self.tenants[0]

    def sees(self, tenant: str) -> bool:
        """Whether it may see what is recorded of a tenant."""
        return self.tenants is None or Role.ADMIN in self.roles or tenant in self.tenants


@dataclass(frozen=True, slots=True)
class Credential:
    """A bearer token, known by its digest alone, and whose it is."""

    sha256: bytes
    caller: Caller


MAX_PRIORITY = 10
"""Priorities are bounded on both sides, so that waiting outweighs each of them some day."""

ANYBODY = Caller("", frozenset(Role), None, MAX_PRIORITY)
"""The caller where no credentials are asked for."""


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


# --------------------------------------------------------------------------------- what the policy decides


@dataclass(frozen=True, slots=True)
class ClassProbabilities:
    """π: one probability per prompt class; they sum to 1."""

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]

    @property
    def best(self) -> str:
        """The likeliest class."""
        return self.classes[max(range(len(self.classes)), key=self.probabilities.__getitem__)]

    @classmethod
    def certain(cls, prompt_class: str, classes: tuple[str, ...]) -> "ClassProbabilities":
        """All weight on one class (a caller that knows it)."""
        return cls(classes, tuple(float(name == prompt_class) for name in classes))


@dataclass(frozen=True, slots=True)
class Beta:
    """A Beta(a, b) belief about one hazard."""

    a: float
    b: float

    @property
    def mean(self) -> float:
        """Posterior mean a / (a + b)."""
        return self.a / (self.a + self.b)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A draft that the round controller may use, with the prior of its hazards, position 1 first."""

    draft_model: str
    hazards: tuple[Beta, ...]


@dataclass(frozen=True, slots=True)
class ArmScore:
    """Why an arm was or wasn't chosen."""

    draft_model: str
    gamma: int
    goodput_tokens_per_second: float
    goodput_low: float
    """5 % quantile."""
    goodput_high: float
    """95 % quantile."""
    acceptance_length: float
    """Expected tokens a round, bonus included."""
    round_seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What the scheduler asks of the worker: a first arm, and the bounds within which γ may move."""

    draft_model: str = NO_DRAFT
    gamma: int = 0
    max_gamma: int = 0
    pinned: bool = True
    """The caller fixed γ: the round controller leaves it alone."""
    candidates: tuple[Candidate, ...] = ()
    seed: int = 0
    """For the round controller's own draws."""
    explored: bool = False
    propensity: float = 1.0
    """Probability with which the policy chose this arm, given the draws that it chose among."""
    policy: str = "fixed"
    policy_version: str = ""
    scores: tuple[ArmScore, ...] = ()
    round_settings: str = ""
    """Of the worker's round controller, as JSON of the `policy` section; empty: the worker's own."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Class and plan of one request, as the caller sees them."""

    class_probabilities: ClassProbabilities
    plan: Plan
    config_sha: str = ""

    @property
    def prompt_class(self) -> str:
        """The likeliest class."""
        return self.class_probabilities.best


# ------------------------------------------------------------------------------------- scheduler → worker


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


# ------------------------------------------------------------------------------------- worker → scheduler


class FinishReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"
    LENGTH = "length"
    TIME_LIMIT = "time_limit"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """Log-probability of a token under the target's raw logits (before temperature and penalties), in nats."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    """(token id, logprob), best first."""


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One propose → verify → accept → commit of one row."""

    draft_model: str
    gamma: int
    """Tokens drafted and verified in this round."""
    num_accepted: int
    """Drafted tokens that were committed, after any trim at the end of the completion."""
    batch_size: int
    """Rows that were verified together."""
    propose_seconds: float
    verify_seconds: float
    censored: bool = False
    """Cut short by the end of the completion: says nothing about position num_accepted + 1."""
    planned_gamma: int = 0
    """The lookahead that was asked for; a proposer with nothing to go by drafts fewer."""
    overlaps: tuple[float, ...] = ()
    """β_j = Σ_x min(p, q) of positions 1 … num_accepted + 1, where p and q were in memory (sampled requests)."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one round added to a completion. The last one carries `finish`, or `failure` and no tokens."""

    token_ids: tuple[int, ...]
    logprobs: tuple[TokenLogprob, ...] = ()
    round: RoundRecord | None = None
    finish: FinishReason | None = None
    matched_token_id: int | None = None
    """The EOS or stop token that ended the completion; it is the last of token_ids."""
    cached_tokens: int = 0
    """Prompt tokens whose KV was reused."""
    failure: str = ""
    """Why the row had to be given up. Stays inside the worker: others see `JobFailed`."""
    worker_id: str = ""
    """Who sent it; the dispatcher says so."""


# -------------------------------------------------------------------------------------------- the worker


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model of the pool as loaded."""

    id: str
    kind: str
    """target · model · ngram · none"""
    parameters: int = 0
    memory_bytes: int = 0
    dtype: str = ""
    quantization: str = "none"
    version: str = ""
    """Hash of the weights."""
    state: str = "active"
    """active · draining · disabled"""
    residency: str = "resident"
    """resident · loading · evicted: whether it is in the worker's memory."""


@dataclass(frozen=True, slots=True)
class DraftSwitches:
    """Which drafts rounds may use, on every worker."""

    speculation: bool = True
    """Off: none."""
    disabled: frozenset[str] = frozenset()

    def allow(self, draft_model: str) -> bool:
        """Whether rounds may use a draft."""
        return self.speculation and draft_model not in self.disabled


@dataclass(frozen=True, slots=True)
class CostPoint:
    """Measured seconds of one forward."""

    positions: int
    """For the target: verified positions as laid out, rows × (γ + 1). For a draft: rows of one step."""
    context_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DraftCost:
    """What a draft costs: `overhead_seconds` once a round (it catches up), then a step per position."""

    draft_model: str
    overhead_seconds: float
    steps: tuple[CostPoint, ...]
    prefill_seconds_per_token: float = 0.0


@dataclass(frozen=True, slots=True)
class CostGrid:
    """T = Σ_d (o_d + γ_d · τ_d(b_d, ℓ)) + V(n, ℓ), as profiled by a worker (POLICY.md, "Cost")."""

    version: int
    verify: tuple[CostPoint, ...]
    drafts: tuple[DraftCost, ...]


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker says of itself."""

    worker_id: str
    target: ModelInfo
    drafts: tuple[ModelInfo, ...]
    vocab_size: int
    max_context_tokens: int
    max_rows: int
    kv_capacity_tokens: int
    eos_token_ids: tuple[int, ...]
    numerics_id: str
    costs: CostGrid

    @property
    def synthetic(self) -> bool:
        """Whether acceptance is made up, for load tests: completions are invalid."""
        return self.numerics_id.startswith(SYNTHETIC_PREFIX)


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """How busy a worker is."""

    worker_id: str
    running_rows: int
    waiting_rows: int
    outstanding_tokens: int
    kv_used_tokens: int
    kv_capacity_tokens: int = 0
    guard_budget_tokens: float = 0.0
    """What the guard would still let speculation lose against plain decoding."""
    guard_vetoes: int = 0
    """Rounds in which the guard forbade speculation, since the worker started."""
    kv_cached_tokens: int = 0
    """KV tokens of earlier requests, kept for those that begin alike."""


# ----------------------------------------------------------------------------------- what the caller gets


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


# ------------------------------------------------------------------------------------------ what is logged


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision and all that it was made from. Shared by the records of the request's rounds."""

    request_id: str
    tenant: str
    number: int
    """Counts the decisions of one run of a scheduler, from 0; a gap is a decision without rounds."""
    rounds_before: int
    """Rounds that the policy of this run had learnt from when it decided: with `number` and the rounds' own numbers
    the order of all that the policy did, so that it can be done again."""
    class_probabilities: ClassProbabilities
    sampled: bool
    coupled: bool
    hint: SpeculationHint
    drafts: tuple[str, ...]
    """Drafts that might be used."""
    draft_versions: tuple[str, ...]
    """Hashes of their weights, in the same order."""
    worker_id: str
    """Whose costs it was decided by; the rounds say where they ran."""
    cost_version: int
    """Of that worker's cost grid."""
    running_rows: int
    prompt_tokens: int
    expected_tokens: int
    plan: Plan
    """Draft, γ, bounds, candidates with their priors, seed, propensity, policy and its version. No scores."""
    config_sha: str = ""


@dataclass(frozen=True, slots=True)
class AcceptanceRecord:
    """One round of one request, with what it was decided under. Never text.

    Enough to run the logged policy again and to estimate others off-policy (BENCHMARKS.md, "replay").
    """

    run_id: str
    """One run of a scheduler."""
    number: int
    """Counts the rounds of this run from 0, in the order that the policy learnt them; a gap is a lost record."""
    unix_seconds: float
    """Wall clock when the scheduler saw the round: files outlive processes."""
    decision: DecisionRecord
    round_index: int
    """Of the request, from 0."""
    worker_id: str
    """Where the round ran."""
    context_tokens: int
    """Prompt and completion before the round."""
    committed_tokens: int
    round: RoundRecord
    plain_seconds: float | None = None
    """What a plain round of the same rows costs by the worker's profile; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class CapturedCompletion:
    """Text of a request, for the capture sink alone: it goes nowhere else."""

    tenant: str
    prompt: str
    completion: str
    prompt_class: str
    draft_model: str
    acceptance: float
    """Accepted ÷ drafted."""
