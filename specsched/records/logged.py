"""What is kept of rounds and, where a tenant agreed, of text."""

from dataclasses import dataclass

from specsched.records.decision import ClassProbabilities, Plan
from specsched.records.request import SpeculationHint
from specsched.records.round import Counterfactual, RoundRecord


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
    hindsight: tuple[Counterfactual, ...] = ()
    """What the policy learnt right after this round: the request's last one brings it."""


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
