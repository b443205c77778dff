"""What the engine's benchmarks ask."""

from itertools import groupby, islice

from specsched.bench.engine.contender import Contender
from specsched.bench.prompt_set import load_prompts
from specsched.bench.reference import Question, draw_questions, tokenizer_of
from specsched.pool.manifest import Pool
from specsched.text.repetition import copied_share

ROOM_TOKENS = 1024
"""Longest prompt."""
LEAST_TOKENS = 16
"""Completions that end earlier say nothing about decoding: they would be timed over a few rounds."""
COPYING_SHARE = 0.5
"""Of a completion's 4-grams that stand in the prompt: from here on it copies."""


def questions_by_class(contender: Contender, pool: Pool, per_class: int, max_tokens: int) -> dict[str, list[Question]]:
    """Class → so many prompts that are answered at length, as far as there are."""
    prompts = load_prompts()
    drawn = draw_questions(tokenizer_of(pool), prompts, len(prompts), ROOM_TOKENS)
    least = min(LEAST_TOKENS, max_tokens)
    in_order = sorted(drawn, key=lambda question: question.prompt_class)
    return {
        name: list(islice((q for q in asked if len(contender.answer(q, least).tokens) == least), per_class))
        for name, asked in groupby(in_order, key=lambda question: question.prompt_class)
    }


def copying_questions(
    contender: Contender, pool: Pool, count: int, max_tokens: int, share: float = COPYING_SHARE
) -> list[Question]:
    """Those of the prompts that ask for a copy where the target does copy, `count` at most."""
    prompts = [prompt for prompt in load_prompts() if "copy" in prompt.tags]
    asked = draw_questions(tokenizer_of(pool), prompts, len(prompts), ROOM_TOKENS)
    return [q for q in asked if copied_share(q.prompt_ids, contender.answer(q, max_tokens).tokens) >= share][:count]
