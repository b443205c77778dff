"""Tasks whose answer stands in their prompt: a model that is trained on them learns to copy from its context.

Passages of a corpus, and words in no order, which only copying can predict, are to be repeated whole, from one place to
another, or with a word exchanged. They keep the form of prompt and answer, so that nothing teaches a model to repeat
its own answer.
"""

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from specsched.modelkit.corpus import Record, corpus_files, read_records
from specsched.modelkit.tokens import NO_DOCUMENTS, Documents, encode_documents

CATEGORY = "repeats"

_WORD = re.compile(r"\s*\S+")
_SHORTEST, _LONGEST = 4, 160
"""Words of a passage."""
_CHARACTERS_PER_TOKEN = 4

_WHOLE = (
    "Repeat this:",
    "Copy the text below.",
    "Write the following again, word for word:",
    "Return this unchanged:",
    "Type this out once more.",
    "Give me back exactly what I wrote:",
)
_PART = (
    'Quote the part from "{first}" to "{last}".',
    'Which passage starts with "{first}" and ends with "{last}"?',
    'Copy what stands between "{first}" and "{last}", both included.',
)
_EXCHANGE = (
    "Replace {old} by {new} and change nothing else.",
    "Write it again with {new} where {old} stands.",
    "Rename {old} to {new}.",
)


def repeated_documents(corpus: Path, tokenizer: Path, tokens: int, seed: int) -> Documents:
    """About so many tokens of such tasks over the texts of a corpus, drawn from its classes alike."""
    if not tokens:
        return NO_DOCUMENTS
    texts = [list(_texts(path)) for path in corpus_files(corpus, "train").values()]
    return encode_documents(
        _first(Repeats(texts, seed), _CHARACTERS_PER_TOKEN * tokens), Tokenizer.from_file(str(tokenizer))
    )


def _texts(path: Path) -> Iterator[str]:
    return (record.text or f"{record.prompt}\n{record.completion}" for record in read_records(path))


def _first(tasks: Iterable[Record], characters: int) -> Iterator[str]:
    """Whole documents, until there are so many characters."""
    for task in tasks:
        if characters <= 0:
            return
        yield task.render()
        characters -= len(task.render())


@dataclass(frozen=True, slots=True)
class Repeats:
    """An endless supply of such tasks over the texts of each class; equal seeds give equal tasks."""

    texts: Sequence[Sequence[str]]
    seed: int

    def __iter__(self) -> Iterator[Record]:
        rng = random.Random(self.seed)
        forms = (self._whole, self._disordered, self._part, self._exchanged)
        while True:
            words = self._passage(rng)
            if words:
                prompt, answer = rng.choice(forms)(words, rng)
                yield Record(CATEGORY, prompt=prompt, completion=answer)

    def _passage(self, rng: random.Random) -> list[str]:
        """Consecutive words of one text, each with the space before it; short ones as often as long ones."""
        words = _WORD.findall(rng.choice(rng.choice(self.texts)))
        count = min(len(words), round(_SHORTEST * (_LONGEST / _SHORTEST) ** rng.random()))
        start = rng.randint(0, len(words) - count)
        return words[start : start + count]

    def _whole(self, words: list[str], rng: random.Random) -> tuple[str, str]:
        return _asked(rng.choice(_WHOLE), words, rng), "".join(words).strip()

    def _disordered(self, words: list[str], rng: random.Random) -> tuple[str, str]:
        return self._whole(rng.sample(words, len(words)), rng)

    def _part(self, words: list[str], rng: random.Random) -> tuple[str, str]:
        start, end = sorted(rng.sample(range(len(words) + 1), 2))
        part = words[start:end]
        first, last = ("".join(some).strip() for some in (part[:2], part[-2:]))
        return _asked(rng.choice(_PART).format(first=first, last=last), words, rng), "".join(part).strip()

    def _exchanged(self, words: list[str], rng: random.Random) -> tuple[str, str]:
        old, new = rng.choice(words).strip(), "".join(self._passage(rng)[:1]).strip()
        changed = [word.replace(old, new) if word.strip() == old else word for word in words]
        return _asked(rng.choice(_EXCHANGE).format(old=old, new=new), words, rng), "".join(changed).strip()


def _asked(wording: str, words: Sequence[str], rng: random.Random) -> str:
    """The passage under the wording, or over it."""
    passage = "".join(words).strip()
    return "\n".join((wording, passage) if rng.random() < 0.5 else (passage, wording))
