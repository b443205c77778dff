"""Greedy identity: the engine's tokens against those of transformers' own `generate()`, one by one, in fp32."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest
from typing import Any

import torch
import transformers
from transformers import GenerationConfig, PreTrainedModel
from transformers.generation.streamers import BaseStreamer

from specsched.bench.prompt_set import BenchPrompt, load_prompts
from specsched.classify.base import PROMPT_CLASSES
from specsched.engine.base import EngineCore
from specsched.engine.load import Progress, load_engine, load_network
from specsched.engine.settings import EngineSettings
from specsched.errors import SetupError
from specsched.policy.base import Arm, RowView
from specsched.pool.manifest import ModelSpec, Pool
from specsched.records import NO_DRAFT, ChatMessage, ChatPrompt, Chunk, Job, Plan, RoundRecord, Sampling
from specsched.text.tokenizer import Tokenizer

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
class Question:
    """A benchmark prompt, in tokens of the target."""

    id: str
    prompt_class: str
    prompt_ids: tuple[int, ...]

    def job(self, max_tokens: int) -> Job:
        """Ask it greedily."""
        return Job(self.id, self.prompt_ids, Sampling(temperature=0.0), Plan(), noise_seed=0, max_tokens=max_tokens)


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


class Reference:
    """The target alone, by transformers. Takes its network over: of its generation settings only EOS and pad stay."""

    def __init__(self, network: PreTrainedModel) -> None:
        eos = network.generation_config.eos_token_id
        pad = network.generation_config.pad_token_id or 0
        self._eos = frozenset(eos if isinstance(eos, list) else [] if eos is None else [eos])
        self._network: Any = network
        self._network.generation_config = GenerationConfig(eos_token_id=eos, pad_token_id=pad)
        self.max_context_tokens: int = network.config.get_text_config().max_position_embeddings

    def generate(
        self, prompt_ids: Sequence[int], max_tokens: int, streamer: BaseStreamer | None = None
    ) -> tuple[int, ...]:
        """Greedy completion, EOS included; `streamer` is handed the prompt, then each token."""
        ids = torch.tensor([list(prompt_ids)], device=self._network.device)
        mask = torch.ones_like(ids)
        options = {"attention_mask": mask, "do_sample": False, "max_new_tokens": max_tokens, "streamer": streamer}
        out = self._network.generate(ids, **options)
        return tuple(out[0, len(prompt_ids) :].tolist())

    def resume(self, prompt_ids: Sequence[int], said: tuple[int, ...], max_tokens: int) -> tuple[int, ...]:
        """Greedy completion that begins with `said`."""
        if len(said) >= max_tokens or said[-1] in self._eos:
            return said
        return said + self.generate((*prompt_ids, *said), max_tokens - len(said))

    @torch.inference_mode()
    def gap(self, prefix_ids: Sequence[int], token: int) -> float:
        """Best logit after a prefix - that of `token`."""
        ids = torch.tensor([list(prefix_ids)], device=self._network.device)
        logits = self._network(ids).logits[0, -1].float()  # [V]
        return float(logits.max() - logits[token])


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


def load_reference(target: ModelSpec) -> Reference:
    """Load a target a second time, for transformers alone.

    Raises:
        PoolError: the model cannot be read.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return Reference(load_network(target))


def tokenizer_of(pool: Pool) -> Tokenizer:
    """The target's tokenizer.

    Raises:
        PoolError: it cannot be read.
    """
    assert pool.target.path is not None, "targets have a path"
    return Tokenizer.load(pool.target.path)


def draw_questions(
    tokenizer: Tokenizer, prompts: Sequence[BenchPrompt], count: int, room_tokens: int
) -> list[Question]:
    """`count` prompts, classes in turn; prompts of more than `room_tokens` tokens are passed over.

    Raises:
        SetupError: no prompt fits.
    """
    asked = [Question(p.id, p.prompt_class, _prompt_ids(tokenizer, p.prompt)) for p in prompts]
    fitting = [question for question in asked if len(question.prompt_ids) <= room_tokens]
    columns = [[q for q in fitting if q.prompt_class == name] for name in PROMPT_CLASSES]
    in_turn = [question for layer in zip_longest(*columns) for question in layer if question is not None]
    if not in_turn:
        raise SetupError(f"no benchmark prompt fits into {room_tokens} tokens")
    return in_turn[:count]


def _prompt_ids(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    rendered = tokenizer.render(ChatPrompt((ChatMessage("user", text),)))
    return tokenizer.encode(rendered, special_tokens=False)


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
