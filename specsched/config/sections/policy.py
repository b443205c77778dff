"""`policy:` — how draft and gamma are chosen."""

from typing import Annotated, Literal

from pydantic import Field

from specsched.config.sections.base import Section

Kind = Literal[
    "adaptive",
    "fixed",
    "plain",
    "heuristic",
    "batch_table",
    "ema",
    "smartspec",
    "ucbspec",
    "exp3spec",
    "metasd",
    "hedgespec",
    "epsilon_greedy",
]


class Policy(Section):
    """How draft and gamma are chosen."""

    kind: Kind = Field(default="adaptive", description="Which policy decides.")
    draft_model: str | None = Field(
        default=None,
        description="For kinds fixed, heuristic, batch_table, ema, smartspec and epsilon_greedy: the draft.",
    )
    gamma: int = Field(default=4, ge=0, le=64, description="For kind fixed: the lookahead.")
    batch_table: dict[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=0, le=64)]] = Field(
        default={1: 5, 4: 3, 8: 1, 16: 0},
        min_length=1,
        description="For kind batch_table: largest batch of each bracket and its lookahead; beyond the last it is 0.",
    )
    max_gamma: int = Field(default=8, ge=1, le=64, description="Largest lookahead that any policy uses.")
    prior_strength_counts: float = Field(
        default=10.0,
        gt=0,
        description="Pseudo-counts with which a class takes after the others of its draft, at first.",
    )
    forgetting_factor: float = Field(
        default=0.999, gt=0, le=1, description="What is left of a class's evidence after a round of that class."
    )
    unknown_acceptance_share: float = Field(
        default=0.6, gt=0, lt=1, description="First hazard of a draft that nobody has seen: high, so that it is tried."
    )
    max_exploration_share: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Largest share of decisions, over the long run, that try another arm than the best; 0: none.",
    )
    exploration_burst_decisions: int = Field(
        default=200, ge=0, description="Decisions that may try another arm before the share binds."
    )
    reconsider_rounds: int = Field(
        default=8,
        ge=1,
        description="Rounds between two looks at which draft a running request should use; the first two come sooner.",
    )
    tenant_evidence_counts: float = Field(
        default=100.0,
        gt=0,
        description="Pseudo-counts that one tenant may have of a draft in a class; a request adds about ten.",
    )
    alarm_threshold_deviations: float = Field(
        default=8.0,
        gt=0,
        description="Change alarm: how far a draft's requests in a class drift off, in summed standard deviations, "
        "before nine tenths of what is known of the two is dropped.",
    )
    hindsight_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Largest share of a worker's time in which drafts take in requests that they did not draft "
        "for, to say what they would have brought; 0: none.",
    )
    watchdog_factor: float = Field(
        default=1.15,
        gt=1,
        description="Measured ÷ predicted time of 200 rounds beyond which a worker halves its lookaheads "
        "and wants its costs profiled anew.",
    )
    guard_slowdown_share: float = Field(
        default=0.02, gt=0, lt=1, description="How much slower than plain decoding the guard lets a worker become."
    )
    guard_start_tokens: float = Field(
        default=2.0,
        ge=0,
        description="Tokens that a worker's guard may lose before it has gained any: 2 are 0.8 % of a first 256. "
        "The slow-down share comes on top.",
    )
    guard_cap_tokens: float = Field(default=2_000.0, ge=1, description="Credit that a worker's guard saves at most.")
    disabled_drafts: tuple[str, ...] = Field(default=(), description="Drafts that no round uses.")
    prompt_classes: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Classes that are told apart and that callers may name; unset: the classifier's.",
    )
    seed: int = Field(default=0, description="Of all draws that the policy makes.")
