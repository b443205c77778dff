"""What callers see of a real worker: tokens per second against the engine driven directly, and times under load."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from specsched.bench.engine.batches import play
from specsched.bench.engine.contender import PLAIN
from specsched.bench.reference import Question
from specsched.bench.served import ServedProcess
from specsched.bench.service.callers import Call, Caller, calling, closed_loop, open_loop, rate
from specsched.bench.service.processes import resident_bytes
from specsched.engine.base import EngineCore
from specsched.v1 import scheduler_pb2

if TYPE_CHECKING:
    from specsched.engine.load import Progress

BATCHES = (1, 8)
_SEED = 0


@dataclass(frozen=True, slots=True)
class LoadJob:
    """How much is measured."""

    max_tokens: int = 96
    repeats: int = 3
    """ABBA rounds."""
    shares: Sequence[float] = (0.3, 0.6, 0.9)
    """Of the service's own capacity, at which calls arrive."""
    calls: int = 60
    """At each of them."""


@dataclass(frozen=True, slots=True)
class Race:
    """One batch, both ways, plain decoding."""

    batch: int
    service_tokens_per_second: float
    engine_tokens_per_second: float
    same: bool
    """Whether all tokens are equal."""

    @property
    def ratio(self) -> float:
        """The service's speed × the engine's."""
        return self.service_tokens_per_second / self.engine_tokens_per_second


@dataclass(frozen=True, slots=True)
class Load:
    """What callers saw while calls arrived at random."""

    share: float
    calls_per_second: float
    first_seconds: tuple[float, ...]
    token_seconds: tuple[float, ...]
    scheduler_bytes: int

    def first(self, q: float) -> float:
        """Quantile of the time to a first token."""
        return float(np.quantile(self.first_seconds, q))

    def per_token(self, q: float) -> float:
        """Quantile of the time per token after it."""
        return float(np.quantile(self.token_seconds, q))


async def race(
    served: ServedProcess, engine: EngineCore, questions: Sequence[Question], job: LoadJob, say: "Progress"
) -> list[Race]:
    """Every batch: the service and the engine in this process in turns. Neither works while the other does."""
    races = []
    for batch in BATCHES:
        asked = questions[:batch]
        say(f"service and engine, {batch} at once")
        async with calling(served.address, [_request(q, job.max_tokens, plain=True) for q in asked]) as caller:
            said, first = await _answers(caller, batch), play(engine, asked, PLAIN, job.max_tokens)  # the warm-up too
            rates: Mapping[str, list[float]] = {"service": [], "engine": []}
            for _ in range(job.repeats):
                for side in ("service", "engine", "engine", "service"):
                    rates[side].append(
                        tokens_rate(await closed_loop(caller.ask, batch, batch))
                        if side == "service"
                        else play(engine, asked, PLAIN, job.max_tokens).tokens_per_second
                    )
        same = sorted(said) == sorted(first.tokens)
        races.append(Race(batch, median(rates["service"]), median(rates["engine"]), same))
    return races


async def under_load(served: ServedProcess, questions: Sequence[Question], job: LoadJob, say: "Progress") -> list[Load]:
    """Calls arrive as a Poisson process at shares of what the service completes when it is saturated."""
    loads = []
    async with calling(served.address, [_request(q, job.max_tokens, plain=False) for q in questions]) as caller:
        say("the service's capacity")
        capacity = rate(await closed_loop(caller.ask, 2 * BATCHES[-1], job.calls))
        for share in job.shares:
            say(f"calls at {share:.0%} of {capacity:.1f}/s")
            calls = await open_loop(caller.ask, share * capacity, job.calls, random.Random(_SEED))
            loads.append(
                Load(
                    share,
                    share * capacity,
                    tuple(call.seconds_to_first for call in calls),
                    tuple(seconds for call in calls for seconds in call.seconds_per_token()),
                    resident_bytes(served.pid),
                )
            )
    return loads


def tokens_rate(calls: Sequence[Call]) -> float:
    """Tokens per second of calls that were made together."""
    tokens = sum(call.complete.usage.completion_tokens for call in calls)
    return tokens * rate(calls) / len(calls)


async def _answers(caller: Caller, batch: int) -> list[tuple[int, ...]]:
    return [tuple(call.complete.token_ids) for call in await closed_loop(caller.ask, batch, batch)]


def _request(question: Question, max_tokens: int, *, plain: bool) -> scheduler_pb2.GenerateRequest:
    message = scheduler_pb2.GenerateRequest()
    message.token_ids.ids.extend(question.prompt_ids)
    message.sampling.temperature = 0.0
    message.stopping.max_tokens = max_tokens
    message.speculation.disable_speculative_decoding = plain
    return message
