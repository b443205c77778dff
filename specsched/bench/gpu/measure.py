"""The engine at realistic shapes on a GPU: what a verification takes against what its bytes would take, and tokens/s.

A verification reads every weight once and every row's keys and values; nothing can be faster than moving those bytes,
and a copy measures how fast this device moves them. Weights are random and acceptance is made up: what is said means
nothing, what it costs is real.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch

from specsched.bench.gpu.shapes import DRAFT, Bench
from specsched.engine.gpu.choose import DeviceStyle
from specsched.engine.gpu.graphs import Uncaptured
from specsched.engine.law import History
from specsched.engine.proposers.base import Draft
from specsched.engine.rounds import Rounds
from specsched.engine.row import Row
from specsched.engine.synthetic import last_word
from specsched.engine.transfer import READS
from specsched.records import Chunk, Job, Plan, Sampling

Clock = Callable[[], float]
"""Monotonic seconds."""

GREEDY = Sampling(temperature=0.0)


@dataclass(frozen=True, slots=True)
class GpuJob:
    """One run of `bench gpu`."""

    batches: tuple[int, ...] = (1, 8, 32)
    gamma: int = 4
    context_tokens: int = 512
    """That each row has before it is verified, or decodes on."""
    max_tokens: int = 128
    """Per row."""
    rates: tuple[float, ...] = (0.8, 0.75, 0.7, 0.7)
    """Made-up acceptance by position."""
    repeats: int = 20
    copy_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class VerifyCost:
    """One batch's verification, medians."""

    rows: int
    positions: int
    seconds: float
    uncaptured_seconds: float
    bound_seconds: float
    """Bytes that have to be read ÷ the bandwidth of a copy."""

    @property
    def over_bound(self) -> float:
        """How many times the bound it takes."""
        return self.seconds / self.bound_seconds


@dataclass(frozen=True, slots=True)
class Speed:
    """One batch's decoding; prompts are left out."""

    rows: int
    plain_tokens_per_second: float
    tokens_per_second: float
    draft_step_seconds: float
    reads_per_round: float
    """Times that the host waited for the device."""

    @property
    def over_plain(self) -> float:
        """Speculative × plain."""
        return self.tokens_per_second / self.plain_tokens_per_second


@torch.inference_mode()
def copy_bandwidth(device: torch.device, job: GpuJob, clock: Clock = time.perf_counter) -> float:
    """Measure bytes per second that a copy moves, read and written ones."""
    source = torch.zeros(job.copy_bytes, dtype=torch.uint8, device=device)
    sink = torch.empty_like(source)

    def copy() -> None:
        sink.copy_(source)
        int(sink[-1])  # waits

    return 2 * job.copy_bytes / _median(copy, job.repeats, clock)


@torch.inference_mode()
def verify_costs(bench: Bench, job: GpuJob, bandwidth: float, clock: Clock = time.perf_counter) -> list[VerifyCost]:
    """Time plain and speculative verification of every batch, as they run and without captured graphs."""
    plainly = DeviceStyle("uncaptured", lambda _model: Uncaptured()).rounds(bench.target, {}, last_word(()))
    costs = []
    for rows in job.batches:
        for positions in (1, job.gamma + 1):
            with _Opened(bench, rows, job.context_tokens) as opened:
                drafts = [Draft([0] * (positions - 1))] * rows
                ours, theirs = (_verifying(each, opened, drafts, job, clock) for each in (bench.rounds, plainly))
            bound = bench.read_bytes(rows * job.context_tokens) / bandwidth
            costs.append(VerifyCost(rows, positions, ours, theirs, bound))
    return costs


def speeds(bench: Bench, job: GpuJob, clock: Clock = time.perf_counter) -> list[Speed]:
    """Let every batch decode, plain and speculating, in turns."""
    found = []
    for rows in job.batches:
        plans = (Plan(), Plan(DRAFT, job.gamma, job.gamma, pinned=True))
        plain, fast = ([_decode(bench, rows, plan, job, clock) for _ in range(2)][-1] for plan in plans)
        step = _draft_step(bench, rows, job, clock)
        found.append(Speed(rows, plain.tokens_per_second, fast.tokens_per_second, step, fast.reads_per_round))
    return found


@dataclass(frozen=True, slots=True)
class _Decoded:
    tokens_per_second: float
    reads_per_round: float


def _decode(bench: Bench, rows: int, plan: Plan, job: GpuJob, clock: Clock) -> _Decoded:
    """Decode from the point on where every row has a first token, until the first one ends."""
    delivered = [0] * rows
    ended: list[Chunk] = []

    def deliver_to(row: int) -> Callable[[Chunk], None]:
        def deliver(chunk: Chunk) -> None:
            delivered[row] += len(chunk.token_ids)
            if chunk.finish is not None:
                ended.append(chunk)

        return deliver

    for row in range(rows):
        bench.engine.submit(_job(f"row-{row}", job.context_tokens, row, plan, job.max_tokens), deliver_to(row))
    while not all(delivered):
        bench.engine.step()
    before, reads, started, rounds = sum(delivered), READS.count, clock(), 0
    while not ended:
        bench.engine.step()
        rounds += 1
    seconds, tokens, read = clock() - started, sum(delivered) - before, READS.count - reads
    while bench.engine.step():
        pass
    return _Decoded(tokens / seconds, read / max(1, rounds))


def _draft_step(bench: Bench, rows: int, job: GpuJob, clock: Clock) -> float:
    """Seconds of one more drafted token: a round of γ + 1 against a round of one."""
    proposer = bench.proposer
    with _Opened(bench, rows, job.context_tokens) as opened:

        def proposing(gamma: int) -> Callable[[], None]:
            def propose() -> None:
                for row in opened:
                    proposer.commit(row, len(row.tokens) - 1)
                proposer.propose(opened, [gamma] * rows)

            return propose

        once, many = (_median(proposing(gamma), job.repeats, clock) for gamma in (1, job.gamma + 1))
        for row in opened:
            proposer.forget(row)
    return max(0.0, (many - once) / job.gamma)


class _Opened:
    """Rows of some context whose keys and values are zeros, which cost the same."""

    def __init__(self, bench: Bench, rows: int, context: int) -> None:
        self._kv = bench.target.kv
        self._rows = [self._row(bench, number, context) for number in range(rows)]

    def __enter__(self) -> list[Row]:
        return self._rows

    def __exit__(self, *_: object) -> None:
        for row in reversed(self._rows):
            self._kv.close(row.kv)

    def _row(self, bench: Bench, number: int, context: int) -> Row:
        job = _job(f"row-{number}", context, number, Plan(), 1)
        history = History(job, frozenset(), bench.target.vocab_size, bench.target.device)
        row = Row(job, lambda _chunk: None, history, self._kv.open(), context, frozenset(), 0.0)
        row.kv.length = context - 1
        return row


def _verifying(rounds: Rounds, rows: Sequence[Row], drafts: Sequence[Draft], job: GpuJob, clock: Clock) -> float:
    return _median(lambda: rounds.verify(rows, drafts), job.repeats, clock)


def _median(work: Callable[[], object], repeats: int, clock: Clock) -> float:
    work()  # warm: captures, compiles, allocates
    times = []
    for _ in range(repeats):
        started = clock()
        work()
        times.append(clock() - started)
    return median(times)


def _job(name: str, prompt_tokens: int, seed: int, plan: Plan, max_tokens: int) -> Job:
    prompt = tuple((7 * i * i + 3 * i + seed) % 61 for i in range(prompt_tokens))
    return Job(name, prompt, GREEDY, plan, noise_seed=seed, max_tokens=max_tokens, ignore_eos=True)
