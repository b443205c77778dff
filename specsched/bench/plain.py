"""Plain decoding, one row at a time: ours against transformers' own `generate()`, in turns within one run."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from transformers.generation.streamers import BaseStreamer

from specsched.bench.engine.contender import PLAIN, Answer, Clock, Contender, EngineContender, Mode
from specsched.bench.prompt_set import load_prompts
from specsched.bench.reference import Question, Reference, draw_questions, load_reference, tokenizer_of
from specsched.engine.load import Progress, load_engine
from specsched.engine.settings import EngineSettings
from specsched.policy.controller import PlannedController
from specsched.pool.manifest import Pool

MIN_PROMPTS = 8
"""Fewer prompts give no interval worth its name."""
_DRAWS = 2_000


@dataclass(frozen=True, slots=True)
class PlainJob:
    """One run of `bench plain`."""

    prompts: int = 16
    """Over all classes."""
    max_tokens: int = 96
    """Longest completion."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One prompt, answered twice by either."""

    prompt_class: str
    tokens: int
    same: bool
    """Whether both gave equal tokens. A faster run with other tokens is no result."""
    our_seconds: float
    """Decoding time of both answers together."""
    their_seconds: float

    @property
    def counts(self) -> bool:
        """Whether there is something to compare."""
        return self.same and self.tokens > 1


@dataclass(frozen=True, slots=True)
class PlainSummary:
    """One line of the table."""

    prompt_class: str
    prompts: int
    counted: int
    """Prompts with equal tokens, two at least; all else on this line is theirs."""
    our_seconds_per_token: float
    their_seconds_per_token: float
    ratio: float
    """Σ their decoding time ÷ Σ ours: above 1 we are faster."""
    interval: tuple[float, float] | None
    """Of the ratio: 95 %, bootstrapped over prompts; None for fewer than `MIN_PROMPTS`."""


class TransformersContender:
    """`generate()` as its users call it."""

    modes = (PLAIN,)

    def __init__(self, reference: Reference, clock: Clock = time.perf_counter) -> None:
        self.name = "transformers"
        self._reference = reference
        self._clock = clock

    def answer(self, question: Question, max_tokens: int, mode: Mode = PLAIN) -> Answer:
        """Run one call."""
        assert mode == PLAIN, "it is here for plain decoding"
        stamps = _Stamps(self._clock)
        tokens = self._reference.generate(question.prompt_ids, max_tokens, stamps)
        return Answer(tokens, stamps.times[-1] - stamps.times[1])  # the first is the prompt's


def check_plain(pool: Pool, job: PlainJob, say: Progress = lambda _stage: None) -> list[Trial]:
    """Load a target twice, with no draft beside it, and let both decode.

    Raises:
        SetupError: a model or prompts that cannot be used.
    """
    settings = EngineSettings(profile_seconds=0)
    engine = load_engine(replace(pool, drafts=()), settings, lambda _costs: PlannedController(), say)
    reference = load_reference(pool.target)
    room = reference.max_context_tokens - job.max_tokens
    questions = draw_questions(tokenizer_of(pool), load_prompts(), job.prompts, room)
    return race(EngineContender(engine), TransformersContender(reference), questions, job.max_tokens, say)


def race(
    ours: Contender,
    theirs: Contender,
    questions: Sequence[Question],
    max_tokens: int,
    say: Progress = lambda _stage: None,
) -> list[Trial]:
    """ABBA on every prompt, BAAB on every other, after a warm-up of both on the first."""
    for contender in (ours, theirs):
        contender.answer(questions[0], max_tokens)
    trials: list[Trial] = []
    for number, question in enumerate(questions):
        say(f"plain decoding: {number} of {len(questions)}")
        outer, inner = (theirs, ours) if number % 2 else (ours, theirs)
        answers = [(each, each.answer(question, max_tokens)) for each in (outer, inner, inner, outer)]
        of_ours = [answer for each, answer in answers if each is ours]
        of_theirs = [answer for each, answer in answers if each is theirs]
        trials.append(_trial(question, of_ours, of_theirs))
    return trials


def summarise(trials: Sequence[Trial]) -> list[PlainSummary]:
    """One line per class, and one over all at the end."""
    in_order = sorted(trials, key=lambda trial: trial.prompt_class)
    by_class = groupby(in_order, key=lambda trial: trial.prompt_class)
    return [*(_summary(name, list(members)) for name, members in by_class), _summary("all", in_order)]


def bootstrap(trials: Sequence[Trial], draws: int = _DRAWS, seed: int = 0) -> tuple[float, float]:
    """95 % interval of Σ theirs ÷ Σ ours, prompts drawn with replacement."""
    seconds = np.array([(trial.their_seconds, trial.our_seconds) for trial in trials])  # [P, 2]
    picks = np.random.default_rng(seed).integers(len(trials), size=(draws, len(trials)))
    their_sums, our_sums = seconds[picks].sum(axis=1).T  # [draws] each
    low, high = np.quantile(their_sums / our_sums, (0.025, 0.975))
    return float(low), float(high)


def _trial(question: Question, ours: Sequence[Answer], theirs: Sequence[Answer]) -> Trial:
    return Trial(
        prompt_class=question.prompt_class,
        tokens=len(ours[0].tokens),
        same=len({answer.tokens for answer in (*ours, *theirs)}) == 1,
        our_seconds=sum(answer.decode_seconds for answer in ours),
        their_seconds=sum(answer.decode_seconds for answer in theirs),
    )


def _summary(name: str, trials: Sequence[Trial]) -> PlainSummary:
    counted = [trial for trial in trials if trial.counts]
    steps = max(2 * sum(trial.tokens - 1 for trial in counted), 1)
    ours = sum(trial.our_seconds for trial in counted)
    theirs = sum(trial.their_seconds for trial in counted)
    return PlainSummary(
        prompt_class=name,
        prompts=len(trials),
        counted=len(counted),
        our_seconds_per_token=ours / steps,
        their_seconds_per_token=theirs / steps,
        ratio=theirs / max(ours, 1e-9),
        interval=bootstrap(counted) if len(counted) >= MIN_PROMPTS else None,
    )


class _Stamps(BaseStreamer):
    """Notes when `generate()` hands over the prompt, and each token."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.times: list[float] = []

    def put(self, value: object) -> None:  # noqa: ARG002 - the port's
        """Note the time."""
        self.times.append(self._clock())

    def end(self) -> None:
        """Nothing to close."""
