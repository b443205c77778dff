"""Greedy identity: the engine's tokens against those of transformers' own `generate()`, one by one, in fp32."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest

from specsched.bench.prompt_set import load_prompts
from specsched.bench.reference import Question, Reference, draw_questions, load_reference, tokenizer_of
from specsched.engine.base import EngineCore
from specsched.engine.load import Progress, load_engine
from specsched.engine.settings import EngineSettings
from specsched.policy.base import Arm, RowView
from specsched.pool.manifest import ModelSpec, Pool
from specsched.records import NO_DRAFT, Chunk, Plan, RoundRecord

TIE_GAP = 1e-4
"""Logits closer than this are a tie: sums in another order may turn it."""
BATCHES = (1, 8)
MAX_GAMMA = 6


@dataclass(frozen=True, slots=True)
class IdentityJob:
    """One run of `bench identity`."""

    prompts: int = 200
    """Over all classes."""
    max_tokens: int = 64
    """Longest completion."""
    seed: int = 0
    """Of the arms."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A token that is not the target's."""

    position: int
    """In the completion, from 0."""
    got: int | None
    """None where the engine had ended."""
    expected: int | None
    """None where the target had ended."""
    gap: float
    """Best logit - the logit of `got`: the gap of the two best where `got` is second. Infinite where one had ended."""

    @property
    def tie(self) -> bool:
        """Whether rounding explains it."""
        return self.gap < TIE_GAP


@dataclass(frozen=True, slots=True)
class Outcome:
    """One prompt at one batch."""

    question: Question
    batch: int
    """Rows that the engine decodes together at most."""
    num_tokens: int
    num_accepted: int
    """Tokens that came from a draft: without them nothing is shown."""
    flips: tuple[Flip, ...]
    """Ties in their order, at most one flip of another kind behind them."""

    @property
    def differs(self) -> bool:
        """Whether a token differs that no tie explains."""
        return any(not flip.tie for flip in self.flips)


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """One line of the table. `equal`, `ties` and `differing` add up to `prompts`."""

    prompt_class: str
    prompts: int
    tokens: int
    batch: int
    equal: int
    ties: int
    differing: int
    accepted: int


class RestlessController:
    """Another γ, and another draft where there is one, in every row and every round; γ 0 is plain decoding."""

    def __init__(self, drafts: Sequence[str], seed: int) -> None:
        self._drafts = tuple(drafts)
        self._random = random.Random(seed)
        self._last: dict[str, Arm] = {}

    def begin(self, request_id: str, plan: Plan, *, sampled: bool) -> None:
        """Take a row."""

    def choose(self, rows: Sequence[RowView]) -> list[Arm]:
        """Draw an arm for each row."""
        arms = [self._other_than(self._last.get(row.request_id, Arm(NO_DRAFT, -1))) for row in rows]
        self._last.update(zip((row.request_id for row in rows), arms, strict=True))
        return arms

    def observe(self, request_id: str, round_record: RoundRecord) -> None:
        """Learn nothing."""

    def end(self, request_id: str) -> None:
        """Forget a row."""
        self._last.pop(request_id, None)

    def _other_than(self, last: Arm) -> Arm:
        gamma = self._random.choice([n for n in range(MAX_GAMMA + 1) if n != last.gamma])
        if gamma == 0 or not self._drafts:
            return Arm(NO_DRAFT, 0)
        others = [draft for draft in self._drafts if draft != last.draft_model]
        return Arm(self._random.choice(others or self._drafts), gamma)


def check_identity(pool: Pool, job: IdentityJob, say: Progress = lambda _stage: None) -> list[Outcome]:
    """Ask the target alone, then the engine at every batch of `BATCHES` with restless arms.

    Raises:
        SetupError: models or prompts that cannot be used.
    """
    pool = in_fp32(pool)
    say("loading the target for transformers")
    reference = load_reference(pool.target)
    room = reference.max_context_tokens - job.max_tokens
    questions = draw_questions(tokenizer_of(pool), load_prompts(), job.prompts, room)
    expected = _expected(reference, questions, job.max_tokens, say)
    drafts = [spec.id for spec in pool.drafts if spec.kind != "none"]
    outcomes: list[Outcome] = []
    for batch in BATCHES:
        settings = EngineSettings(max_rows=batch, profile_seconds=0)
        engine = load_engine(pool, settings, lambda _costs: RestlessController(drafts, job.seed), say)
        outcomes += compare(engine, batch, reference, expected, job.max_tokens, say)
    return outcomes


def compare(
    engine: EngineCore,
    batch: int,
    reference: Reference,
    expected: Mapping[Question, tuple[int, ...]],
    max_tokens: int,
    say: Progress = lambda _stage: None,
) -> list[Outcome]:
    """Ask an engine all questions at once and hold its tokens against the target's."""
    chunks: dict[Question, list[Chunk]] = {question: [] for question in expected}
    for question, taken in chunks.items():
        engine.submit(question.job(max_tokens), taken.append)
    while engine.step():
        done = sum(bool(taken) and taken[-1].finish is not None for taken in chunks.values())
        say(f"engine, batch {batch}: {done} of {len(chunks)}")
    return [
        _outcome(reference, question, batch, taken, expected[question], max_tokens)
        for question, taken in chunks.items()
    ]


def summarise(outcomes: Sequence[Outcome]) -> list[ClassSummary]:
    """One line per batch and class, and one per batch over all classes."""
    lines: list[ClassSummary] = []
    for batch, at_batch in groupby(sorted(outcomes, key=lambda o: o.batch), key=lambda o: o.batch):
        members = sorted(at_batch, key=lambda o: o.question.prompt_class)
        by_class = groupby(members, key=lambda o: o.question.prompt_class)
        lines += [_summary(name, batch, list(of_class)) for name, of_class in by_class]
        lines.append(_summary("all", batch, members))
    return lines


def in_fp32(pool: Pool) -> Pool:
    """The same models, computing in fp32."""

    def full(spec: ModelSpec) -> ModelSpec:
        return replace(spec, dtype="float32", quantization="none")

    return replace(pool, target=full(pool.target), drafts=tuple(map(full, pool.drafts)))


def _expected(
    reference: Reference, questions: Sequence[Question], max_tokens: int, say: Progress
) -> dict[Question, tuple[int, ...]]:
    found: dict[Question, tuple[int, ...]] = {}
    for question in questions:
        say(f"transformers: {len(found)} of {len(questions)}")
        found[question] = reference.generate(question.prompt_ids, max_tokens)
    return found


def _outcome(
    reference: Reference,
    question: Question,
    batch: int,
    chunks: Sequence[Chunk],
    expected: tuple[int, ...],
    max_tokens: int,
) -> Outcome:
    got = tuple(token for chunk in chunks for token in chunk.token_ids)
    accepted = sum(chunk.round.num_accepted for chunk in chunks if chunk.round)
    flips = _flips(reference, question.prompt_ids, got, expected, max_tokens)
    return Outcome(question, batch, len(got), accepted, tuple(flips))


def _flips(
    reference: Reference, prompt: tuple[int, ...], got: tuple[int, ...], expected: tuple[int, ...], max_tokens: int
) -> list[Flip]:
    """Behind a tie the target is asked again, from what the engine said, so that every token is checked."""
    flips: list[Flip] = []
    while got != expected:
        at = next(i for i, (a, b) in enumerate(zip_longest(got, expected)) if a != b)
        flips.append(_flip(reference, prompt, got, expected, at))
        if not flips[-1].tie:
            break
        expected = reference.resume(prompt, got[: at + 1], max_tokens)
    return flips


def _flip(
    reference: Reference, prompt: tuple[int, ...], got: tuple[int, ...], expected: tuple[int, ...], at: int
) -> Flip:
    if at >= len(got):
        return Flip(at, None, expected[at], math.inf)
    if at >= len(expected):
        return Flip(at, got[at], None, math.inf)
    return Flip(at, got[at], expected[at], reference.gap(prompt + got[:at], got[at]))


def _summary(name: str, batch: int, outcomes: Sequence[Outcome]) -> ClassSummary:
    equal = sum(not outcome.flips for outcome in outcomes)
    differing = sum(outcome.differs for outcome in outcomes)
    return ClassSummary(
        prompt_class=name,
        prompts=len(outcomes),
        tokens=sum(outcome.num_tokens for outcome in outcomes),
        batch=batch,
        equal=equal,
        ties=len(outcomes) - equal - differing,
        differing=differing,
        accepted=sum(outcome.num_accepted for outcome in outcomes),
    )
