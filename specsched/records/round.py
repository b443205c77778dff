"""What comes back from a worker while a job runs."""

from dataclasses import dataclass
from enum import StrEnum


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
class Counterfactual:
    """What rounds of full depth would have shown, had a draft that wasn't played begun one at every place."""

    draft_model: str
    rounds: float
    """Places that rounds were begun at."""
    accepted: tuple[float, ...]
    rejected: tuple[float, ...]
    """Mass per position: Σ S_j and Σ (S_{j−1} − S_j), position 1 first."""
    undrafted: tuple[float, ...] = ()
    """Rounds by position in which fewer tokens would have been drafted: rejected too. Empty where there are none."""


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
    hindsight: tuple[Counterfactual, ...] = ()
    """With the last round: what drafts would have brought that the request did not play."""
    worker_id: str = ""
    """Who sent it; the dispatcher says so."""
    more: bool = False
    """Whether the next one is here already: nobody needs to hear of this one alone."""
