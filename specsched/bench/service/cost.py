"""What a call costs the scheduler, against a relay that passes the same messages on and does nothing else."""

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from specsched.bench.prompt_set import load_prompts
from specsched.bench.service.callers import Ask, Call, Caller, calling, closed_loop, open_loop, rate
from specsched.bench.service.fake_worker import TOKENS_PER_CHUNK
from specsched.bench.service.player import record
from specsched.bench.service.processes import cpu_seconds, helper, scheduler_over_fakes
from specsched.v1 import scheduler_pb2

if TYPE_CHECKING:
    from specsched.engine.load import Progress

CHUNKS = 8
LONGEST_CHARACTERS = 1_000
"""Of the prompts, which are the packaged ones: longer ones are read off the event loop, at a price of their own."""
_SEED = 0


@dataclass(frozen=True, slots=True)
class CostJob:
    """How much is measured."""

    calls: int = 400
    """Of each side, each time."""
    repeats: int = 3
    """ABBA rounds."""
    callers: int = 8
    """At once, while processor time is counted."""
    saturating: int = 64
    """At once, while the capacity is found."""
    round_seconds: float = 0.005
    """Of the fake worker."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of calls of eight chunks."""

    scheduler_seconds: float
    """Processor time per call."""
    relay_seconds: float
    capacity_per_second: float
    """Calls that the scheduler completes under more callers than it can serve at once."""
    half_per_second: float
    """Calls at which the following were measured."""
    own_seconds: tuple[float, ...]
    """Of every message between caller and worker, at half that."""

    @property
    def over_relay(self) -> float:
        """The scheduler's processor time ÷ the relay's."""
        return self.scheduler_seconds / self.relay_seconds

    def own_quantile(self, q: float) -> float:
        """Seconds that a message takes, transport included."""
        return float(np.quantile(self.own_seconds, q))


def requests(chunks: int = CHUNKS, prompt_class: str = "") -> list[scheduler_pb2.GenerateRequest]:
    """One call per packaged prompt, as a caller that wants rounds makes it."""
    prompts = [prompt for prompt in load_prompts() if len(prompt.prompt) <= LONGEST_CHARACTERS]
    random.Random(_SEED).shuffle(prompts)
    return [_request(prompt.prompt, chunks, prompt_class) for prompt in prompts]


async def measure_cost(manifest: Path, folder: Path, job: CostJob, say: "Progress" = lambda _stage: None) -> Cost:
    """Measure scheduler and relay in turns, then the scheduler at half its capacity.

    Args:
        manifest: Of the pool whose tokenizer, classifier and drafts the scheduler works with.
        folder: For sockets.
        job: How much.
        say: Told what is measured next.
    """
    async with (
        scheduler_over_fakes(folder, manifest, round_seconds=job.round_seconds) as served,
        calling(served.address, requests()) as scheduler,
    ):
        say("the relay")
        first = await scheduler.ask()
        async with _relay(folder, first, job) as (relay_pid, relay):
            sides: tuple[tuple[int, Ask], ...] = ((served.pid, scheduler.ask), (relay_pid, relay.ask))
            spent = await _abba(sides, job, say)
        say("the scheduler's capacity")
        full = [rate(await closed_loop(scheduler.ask, job.saturating, job.calls)) for _ in range(job.repeats)]
        say("half of it")
        half = median(full) / 2
        calls = await open_loop(scheduler.ask, half, job.calls * job.repeats, random.Random(_SEED))
    own = tuple(seconds for call in calls for seconds in call.own_seconds())
    return Cost(median(spent[0]), median(spent[1]), median(full), half, own)


async def _abba(sides: Sequence[tuple[int, Ask]], job: CostJob, say: "Progress") -> tuple[list[float], list[float]]:
    spent: tuple[list[float], list[float]] = ([], [])
    for _, ask in sides:
        await closed_loop(ask, job.callers, job.calls // 2)  # warm-up
    for repeat in range(job.repeats):
        say(f"processor time, {repeat + 1} of {job.repeats}")
        for side in (0, 1, 1, 0):
            pid, ask = sides[side]
            before = cpu_seconds(pid)
            await closed_loop(ask, job.callers, job.calls)
            spent[side].append((cpu_seconds(pid) - before) / job.calls)
    return spent


@asynccontextmanager
async def _relay(folder: Path, answered: Call, job: CostJob) -> AsyncGenerator[tuple[int, Caller]]:
    """Put a relay before a player of one call's answers; yields its pid, and a caller."""
    tape, player, relay = folder / "tape", f"unix:{folder}/player.sock", f"unix:{folder}/relay.sock"
    record([message for _, message in answered.arrivals], tape)
    async with (
        helper("player", player, str(tape), str(job.round_seconds)),
        helper("relay", relay, player) as pid,
        calling(relay, requests()) as caller,
    ):
        yield pid, caller


def _request(prompt: str, chunks: int, prompt_class: str) -> scheduler_pb2.GenerateRequest:
    message = scheduler_pb2.GenerateRequest(prompt_class=prompt_class)
    message.messages.messages.add(role="user", content=prompt)
    message.stopping.max_tokens = chunks * TOKENS_PER_CHUNK
    message.output.include_rounds = True
    return message
