"""Prompts of every class, each answered twice, side by side: as the service likes, and by plain decoding."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from specsched.bench.prompt_set import BenchPrompt, load_prompts
from specsched.client import Client
from specsched.records import (
    ChatMessage,
    ChatPrompt,
    Completion,
    Request,
    Sampling,
    SpeculationHint,
    Stopping,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """One prompt, answered twice."""

    prompt: BenchPrompt
    adaptive: Completion
    plain: Completion

    @property
    def same(self) -> bool:
        """Whether both are the same tokens, as greedy decoding must give."""
        return self.adaptive.token_ids == self.plain.token_ids

    @property
    def speedup(self) -> float:
        """Time of plain decoding ÷ that of the service's choice."""
        return _seconds(self.plain) / _seconds(self.adaptive)


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """One line of the demo's table."""

    prompt_class: str
    read_as: str
    draft_model: str
    """First draft, of most requests."""
    gamma: int
    """First γ, of most requests with that draft."""
    acceptance_length: float
    tokens_per_second: float
    speedup: float
    """Σ plain decoding's time ÷ Σ the service's, each from dispatch to the last token."""


async def run_pairs(client: Client, per_class: int, max_tokens: int) -> AsyncIterator[Pair]:
    """Yield pairs. Classes take turns, so that the policy learns all of them alike; so do the two ways."""
    prompts = _in_turn(load_prompts(), per_class)
    for number, prompt in enumerate(prompts):
        order = (False, True) if number % 2 else (True, False)
        answers = {plain: await client.complete(_request(prompt, max_tokens, plain=plain)) for plain in order}
        yield Pair(prompt, adaptive=answers[False], plain=answers[True])


def summarise(pairs: Sequence[Pair]) -> list[ClassSummary]:
    """One line per class, in alphabetical order."""
    by_class = groupby(sorted(pairs, key=lambda p: p.prompt.prompt_class), key=lambda p: p.prompt.prompt_class)
    return [_summary(name, list(members)) for name, members in by_class]


def _summary(name: str, pairs: Sequence[Pair]) -> ClassSummary:
    completions = [pair.adaptive for pair in pairs]
    plans = [completion.decision.plan for completion in completions]
    draft = Counter(plan.draft_model for plan in plans).most_common(1)[0][0]
    rounds = sum(completion.speculation.num_spec_steps for completion in completions)
    accepted = sum(completion.speculation.num_accepted_draft_tokens for completion in completions)
    seconds = sum(map(_seconds, completions))
    return ClassSummary(
        prompt_class=name,
        read_as=Counter(completion.decision.prompt_class for completion in completions).most_common(1)[0][0],
        draft_model=draft,
        gamma=Counter(plan.gamma for plan in plans if plan.draft_model == draft).most_common(1)[0][0],
        acceptance_length=1 + accepted / rounds if rounds else 1.0,
        tokens_per_second=sum(completion.usage.completion_tokens for completion in completions) / seconds,
        speedup=sum(_seconds(pair.plain) for pair in pairs) / seconds,
    )


def _seconds(completion: Completion) -> float:
    """From dispatch to the last token: prefill counts, for the drafts' as well."""
    return max(completion.usage.completion_tokens, 1) / completion.timings.tokens_per_second


def _in_turn(prompts: Sequence[BenchPrompt], per_class: int) -> list[BenchPrompt]:
    """First prompt of every class, then the second of every class, and so on."""
    by_class = groupby(sorted(prompts, key=lambda p: (p.prompt_class, p.id)), key=lambda p: p.prompt_class)
    columns = [list(members)[:per_class] for _, members in by_class]
    return [column[i] for i in range(per_class) for column in columns if i < len(column)]


def _request(prompt: BenchPrompt, max_tokens: int, *, plain: bool) -> Request:
    return Request(
        request_id=f"{prompt.id}-{'plain' if plain else 'adaptive'}",
        prompt=ChatPrompt((ChatMessage("user", prompt.prompt),)),
        sampling=Sampling(temperature=0.0),
        stopping=Stopping(max_tokens=max_tokens),
        speculation=SpeculationHint(disable=plain),
    )
