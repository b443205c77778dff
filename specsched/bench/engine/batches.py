"""Several requests at once: tokens per second of one, four and eight."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from specsched.bench.engine.contender import PLAIN, Clock, Mode, plan_of
from specsched.bench.reference import Question
from specsched.engine.base import EngineCore
from specsched.engine.load import Progress
from specsched.records import Chunk

BATCHES = (1, 4, 8)


@dataclass(frozen=True, slots=True)
class Played:
    """Some requests, answered together."""

    tokens: tuple[tuple[int, ...], ...]
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Of all requests together, prompts included."""
        return sum(map(len, self.tokens)) / self.seconds


@dataclass(frozen=True, slots=True)
class BatchSpeed:
    """One class at one batch size, tokens per second of all rows together."""

    prompt_class: str
    batch: int
    mode: Mode
    plain: float
    speculative: float


def play(
    engine: EngineCore, questions: Sequence[Question], mode: Mode, max_tokens: int, clock: Clock = time.perf_counter
) -> Played:
    """Submit all at once and step to the end; the engine's rows bound the batch."""
    taken: dict[str, list[int]] = {question.id: [] for question in questions}

    def deliver_to(tokens: list[int]) -> Callable[[Chunk], None]:
        return lambda chunk: tokens.extend(chunk.token_ids)

    started = clock()
    for question in questions:
        engine.submit(replace(question.job(max_tokens), plan=plan_of(mode)), deliver_to(taken[question.id]))
    with engine.computing():
        while engine.step():
            pass
    seconds = clock() - started
    return Played(tuple(map(tuple, taken.values())), seconds)


def concurrency(
    engine: EngineCore,
    questions: Sequence[Question],
    max_tokens: int,
    repeats: int,
    clock: Clock = time.perf_counter,
) -> float:
    """Tokens per second of all requests at once × one after the other, plain, ABBA."""
    play(engine, questions, PLAIN, max_tokens, clock)
    together, alone = [], []
    for _ in range(repeats):
        for batched in (True, False, False, True):
            if batched:
                together.append(play(engine, questions, PLAIN, max_tokens, clock).tokens_per_second)
            else:
                alone.append(_in_parts(engine, questions, 1, PLAIN, max_tokens, clock))
    return median(together) / median(alone)


def batch_speeds(
    engine: EngineCore,
    questions: Mapping[str, Sequence[Question]],
    modes: Mapping[str, Mode],
    max_tokens: int,
    say: Progress = lambda _stage: None,
    clock: Clock = time.perf_counter,
) -> list[BatchSpeed]:
    """Every class at every batch size, plain and in the mode that is best for one row; prompts repeat where few."""
    speeds = []
    for name, asked in questions.items():
        rows = [replace(asked[i % len(asked)], id=f"{name}-{i}") for i in range(max(BATCHES))]
        for batch in BATCHES:
            say(f"{name}: {batch} at once")
            rates: dict[Mode, list[float]] = {PLAIN: [], modes[name]: []}
            for mode in (PLAIN, modes[name], modes[name], PLAIN):
                rates[mode].append(_in_parts(engine, rows, batch, mode, max_tokens, clock))
            speeds.append(BatchSpeed(name, batch, modes[name], median(rates[PLAIN]), median(rates[modes[name]])))
    return speeds


def _in_parts(
    engine: EngineCore, questions: Sequence[Question], batch: int, mode: Mode, max_tokens: int, clock: Clock
) -> float:
    """Tokens per second of so many at once, one lot after the other."""
    lots = [questions[i : i + batch] for i in range(0, len(questions), batch)]
    played = [play(engine, lot, mode, max_tokens, clock) for lot in lots]
    return sum(len(tokens) for each in played for tokens in each.tokens) / sum(each.seconds for each in played)
