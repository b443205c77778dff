"""What an operator may set about an engine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Limits of one engine."""

    worker_id: str = "worker-0"
    max_rows: int = 8
    """Rows that decode together."""
    kv_capacity_tokens: int = 16_384
    """Prompt and completion tokens that all rows together may come to."""
    prefill_chunk_tokens: int = 256
    """Prompt tokens that one step takes in, so that a long prompt doesn't stall the rows that decode."""
    prefix_cache_tokens: int = 16_384
    """Tokens that are kept of earlier requests, within what the rows leave of kv_capacity_tokens; 0 keeps none."""
    device: str = "auto"
    """Where models compute, as torch names it; `auto` is a GPU where there is one."""
    kv_storage: str = "auto"
    """rectangles or blocks; `auto` chooses by the device."""
    rounds: str = "auto"
    """host, buffered or captured (`gpu.choose`); `auto` chooses by the device."""
    memory_bytes: int = 0
    """For target and drafts, each with its KV; 0 has no limit."""
    synthetic_acceptance: tuple[float, ...] = ()
    """Rates by position at which drafts are accepted whatever the target says: for load tests. Output is invalid."""
    threads: int = 0
    """Compute threads; 0 measures one against all that the process may have, and takes the better."""
    profile_seconds: float = 4.0
    """Time that profiling the cost grid may take at start; 0 skips it and publishes an empty grid."""
