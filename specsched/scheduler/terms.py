"""What a request asks for, in tokens, time and noise, within what the pool holds."""

from collections.abc import Callable
from dataclasses import replace

from specsched.records import Request, WorkerInfo
from specsched.scheduler.reading import Reading

_SEED_BITS = (1 << 64) - 1


def within(request: Request, prompt_tokens: int, worker: WorkerInfo) -> Request:
    """Ask for no more tokens than the context still holds: what cannot come must not hold room."""
    room = min(worker.max_context_tokens, worker.kv_capacity_tokens) - prompt_tokens
    stopping = replace(request.stopping, max_tokens=min(request.stopping.max_tokens, room))
    return replace(request, stopping=stopping)


def tokens_of(request: Request, reading: Reading) -> int:
    """Prompt and completion, at most."""
    return len(reading.token_ids) + request.stopping.max_tokens


def seconds_left(request: Request, spent: float) -> float | None:
    """Return what is left of a request's own time limit; None without one."""
    limit = request.stopping.max_time_seconds
    return None if limit is None else max(0.0, limit - spent)


def noise_seed(request: Request, draw: Callable[[], int]) -> int:
    """Return what keys all noise of a request: its own seed, or one that is drawn."""
    seed = request.sampling.seed
    return (draw() if seed is None else seed) & _SEED_BITS
