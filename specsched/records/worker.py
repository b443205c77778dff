"""What a worker says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SYNTHETIC_PREFIX = "synthetic-"
"""Begins the numerics_id of workers whose acceptance is made up: their completions are invalid."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model of the pool as loaded."""

    id: str
    kind: str
    """target · model · composite · ngram · none"""
    parameters: int = 0
    memory_bytes: int = 0
    dtype: str = ""
    quantization: str = "none"
    version: str = ""
    """Hash of the weights, and how they draft where that tells not all."""
    state: str = "active"
    """active · draining · disabled"""
    residency: str = "resident"
    """resident · loading · evicted: whether it is in the worker's memory."""


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
    """What the guard would still let speculation lose against plain decoding, of the tenant that has least."""
    guard_vetoes: int = 0
    """Rounds in which the guard forbade speculation, since the worker started."""
    kv_cached_tokens: int = 0
    """KV tokens of earlier requests, kept for those that begin alike."""
    profile_wanted: bool = False
    """Whether rounds have cost clearly more than the profile and what was learnt since predict."""
    guard_budgets: Mapping[str, float] = field(default_factory=dict)
    """What the guard would still let speculation lose, by tenant. Only schedulers are told."""
