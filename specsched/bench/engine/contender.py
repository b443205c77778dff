"""Who answers greedily, and in which modes: our engine, or an engine of others."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from specsched.bench.reference import Question
from specsched.engine.base import EngineCore
from specsched.records import Chunk, Plan, RoundRecord

Clock = Callable[[], float]
"""Monotonic seconds."""

GAMMAS = (2, 4, 6)
LOOKUPS = (2, 4, 8)
COMPOSITES = (4, 8, 16)
"""Where a text repeats itself it goes on for long, and elsewhere a composite may stop by itself."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One way of decoding."""

    kind: str
    """plain · draft · lookup"""
    draft: str = ""
    gamma: int = 0
    schedule: str = ""
    """Of the lookahead, where a contender has several."""

    def __str__(self) -> str:
        return (
            self.kind if self.kind == "plain" else f"{self.draft or self.kind} γ={self.gamma} {self.schedule}".strip()
        )


PLAIN = Mode("plain")


@dataclass(frozen=True, slots=True)
class Answer:
    """One completion, with its time."""

    tokens: tuple[int, ...]
    decode_seconds: float
    """From the first delivery to the last: the prompt's share is left out."""
    first_tokens: int = 1
    """Tokens of the first delivery."""
    seconds: float = 0.0
    """From the question to the last token."""
    rounds: tuple[RoundRecord, ...] = ()
    """Where the contender keeps them."""

    @property
    def decoded(self) -> int:
        """Tokens that `decode_seconds` brought."""
        return max(0, len(self.tokens) - self.first_tokens)


class Contender(Protocol):
    """Decodes one row at a time."""

    name: str

    @property
    def modes(self) -> Sequence[Mode]:
        """The first is plain."""
        ...

    def answer(self, question: Question, max_tokens: int, mode: Mode = PLAIN) -> Answer:
        """Complete a prompt greedily."""
        ...


class EngineContender:
    """Our engine, whose controller must play plans as they stand."""

    def __init__(self, engine: EngineCore, name: str = "specsched", clock: Clock = time.perf_counter) -> None:
        self.name = name
        self._engine = engine
        self._clock = clock
        self.modes = (PLAIN, *(mode for draft in engine.describe().drafts for mode in _modes(draft.id, draft.kind)))

    def answer(self, question: Question, max_tokens: int, mode: Mode = PLAIN) -> Answer:
        """Run one job to its end; every round hands its tokens over."""
        chunks: list[Chunk] = []
        times: list[float] = []

        def take(chunk: Chunk) -> None:
            chunks.append(chunk)
            times.append(self._clock())

        started = self._clock()
        self._engine.submit(replace(question.job(max_tokens), plan=plan_of(mode)), take)
        with self._engine.computing():
            while self._engine.step():
                pass
        return Answer(
            tokens=tuple(token for chunk in chunks for token in chunk.token_ids),
            decode_seconds=times[-1] - times[0],
            first_tokens=len(chunks[0].token_ids),
            seconds=times[-1] - started,
            rounds=tuple(chunk.round for chunk in chunks if chunk.round is not None),
        )


def plan_of(mode: Mode) -> Plan:
    """Return the plan that plays a mode in our engine."""
    return Plan() if mode.kind == "plain" else Plan(mode.draft, mode.gamma, mode.gamma)


def _modes(draft: str, kind: str) -> list[Mode]:
    if kind == "ngram":
        return [Mode("lookup", draft, gamma) for gamma in LOOKUPS]
    gammas = {"model": GAMMAS, "composite": COMPOSITES}
    return [Mode("draft", draft, gamma) for gamma in gammas.get(kind, ())]
