"""The engine alone: plain against speculative decoding, by class, at several batches, for one target.

The arm of a class is chosen on its first prompts and reported on the others, in ABBA order against plain decoding
(BENCHMARKS.md, "Rules"). Speculative and plain tokens are compared first: a faster run with other tokens is no result.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import median

from specsched.bench.plain import Contender
from specsched.bench.prompt_set import load_prompts
from specsched.bench.reference import Question, draw_questions, tokenizer_of
from specsched.engine.base import EngineCore
from specsched.engine.load import Progress
from specsched.pool.manifest import Pool
from specsched.records import NO_DRAFT, Chunk, Plan, WorkerInfo

Clock = Callable[[], float]
"""Monotonic seconds."""

GAMMAS = (2, 4, 6)
PLAIN = Plan()


@dataclass(frozen=True, slots=True)
class EngineJob:
    """One run of `bench engine`."""

    per_class: int = 2
    """Prompts to choose an arm on, and as many others to report on."""
    max_tokens: int = 64
    """Longest completion."""
    repeats: int = 3
    """ABBA rounds."""


@dataclass(frozen=True, slots=True)
class Played:
    """Some requests, answered together."""

    tokens: tuple[tuple[int, ...], ...]
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Of all requests together, prefill included."""
        return sum(map(len, self.tokens)) / self.seconds


@dataclass(frozen=True, slots=True)
class ClassSpeed:
    """One class under its best fixed arm."""

    prompt_class: str
    draft_model: str
    gamma: int
    same: bool
    """Whether speculative and plain tokens are equal."""
    plain_tokens_per_second: float
    tokens_per_second: float

    @property
    def over_plain(self) -> float:
        """Speculative × plain."""
        return self.tokens_per_second / self.plain_tokens_per_second


def questions_by_class(pool: Pool, job: EngineJob) -> dict[str, list[Question]]:
    """Class → twice `per_class` prompts, as far as there are so many that fit."""
    prompts = load_prompts()
    drawn = draw_questions(tokenizer_of(pool), prompts, len(prompts), room_tokens=1024)
    in_order = sorted(drawn, key=lambda question: question.prompt_class)
    by_class = groupby(in_order, key=lambda question: question.prompt_class)
    return {name: list(members)[: 2 * job.per_class] for name, members in by_class}


def play(
    engine: EngineCore, questions: Sequence[Question], plan: Plan, max_tokens: int, clock: Clock = time.perf_counter
) -> Played:
    """Submit all at once and step to the end; the engine's rows bound the batch."""
    taken: dict[str, list[int]] = {question.id: [] for question in questions}

    def deliver_to(tokens: list[int]) -> Callable[[Chunk], None]:
        return lambda chunk: tokens.extend(chunk.token_ids)

    started = clock()
    for question in questions:
        engine.submit(replace(question.job(max_tokens), plan=plan), deliver_to(taken[question.id]))
    while engine.step():
        pass
    seconds = clock() - started
    return Played(tuple(map(tuple, taken.values())), seconds)


def class_speeds(
    engine: EngineCore,
    questions: Mapping[str, Sequence[Question]],
    job: EngineJob,
    say: Progress = lambda _stage: None,
    clock: Clock = time.perf_counter,
) -> list[ClassSpeed]:
    """Every class: its arm chosen on the first half of its prompts, measured on the rest, one row at a time."""
    drafts = [draft.id for draft in engine.describe().drafts if draft.id != NO_DRAFT]
    arms = [Plan(draft, gamma, gamma) for draft in drafts for gamma in GAMMAS]
    speeds = []
    for name, asked in questions.items():
        say(f"speculation: {name}")
        tuning, reported = asked[: len(asked) // 2], asked[len(asked) // 2 :]
        best = max(arms, key=lambda arm: _alone(engine, tuning, arm, job, clock).tokens_per_second)
        speeds.append(_against_plain(engine, name, reported, best, job, clock))
    return speeds


def concurrency(
    engine: EngineCore, questions: Sequence[Question], job: EngineJob, clock: Clock = time.perf_counter
) -> float:
    """Tokens per second of all requests at once × one after the other, plain, ABBA."""
    play(engine, questions, PLAIN, job.max_tokens, clock)
    together, alone = [], []
    for _ in range(job.repeats):
        for batched in (True, False, False, True):
            if batched:
                together.append(play(engine, questions, PLAIN, job.max_tokens, clock).tokens_per_second)
            else:
                alone.append(_alone(engine, questions, PLAIN, job, clock).tokens_per_second)
    return median(together) / median(alone)


def plain_ratio(ours: Contender, theirs: Contender, questions: Sequence[Question], job: EngineJob) -> float:
    """Their seconds per token ÷ ours, medians over ABBA; tokens may differ where precisions do."""
    seconds: dict[int, list[float]] = {0: [], 1: []}
    for contender in (ours, theirs):
        contender.answer(questions[0], job.max_tokens)
    for question in questions:
        for which in (0, 1, 1, 0):
            answer = (ours, theirs)[which].answer(question, job.max_tokens)
            if len(answer.tokens) > 1:
                seconds[which].append(answer.decode_seconds / (len(answer.tokens) - 1))
    return median(seconds[1]) / median(seconds[0])


def verify_ratio(info: WorkerInfo, positions: int = 8) -> float:
    """Profiled cost of verifying some positions of one row ÷ that of one; infinite where it was not profiled."""
    nearest = min((point.context_tokens for point in info.costs.verify), default=0)
    seconds = {p.positions: p.seconds for p in reversed(info.costs.verify) if p.context_tokens == nearest}
    return seconds[positions] / seconds[1] if {1, positions} <= seconds.keys() else math.inf


def _against_plain(
    engine: EngineCore, name: str, questions: Sequence[Question], arm: Plan, job: EngineJob, clock: Clock
) -> ClassSpeed:
    first = [_alone(engine, questions, plan, job, clock) for plan in (PLAIN, arm)]  # also the warm-up
    rates: dict[Plan, list[float]] = {PLAIN: [], arm: []}
    for _ in range(job.repeats):
        for plan in (PLAIN, arm, arm, PLAIN):
            rates[plan].append(_alone(engine, questions, plan, job, clock).tokens_per_second)
    same = first[0].tokens == first[1].tokens
    return ClassSpeed(name, arm.draft_model, arm.gamma, same, median(rates[PLAIN]), median(rates[arm]))


def _alone(engine: EngineCore, questions: Sequence[Question], plan: Plan, job: EngineJob, clock: Clock) -> Played:
    played = [play(engine, [question], plan, job.max_tokens, clock) for question in questions]
    return Played(tuple(each.tokens[0] for each in played), sum(each.seconds for each in played))
