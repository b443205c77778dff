"""Prompts by class: from a corpus, from a folder of JSON lines, or from one file."""

import zlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from specsched.modelkit.corpus import SUFFIXES, CorpusError, Record, corpus_files, read_records
from specsched.modelkit.generation import Sample
from specsched.modelkit.language_model import LanguageModel


def load_prompts(source: Path, split: str = "train") -> Mapping[str, list[str]]:
    """Class → prompts, in the files' order.

    `source` is a corpus (`<class>/<split>.jsonl[.zst]`), a folder of files, or one file; a record that names no
    class takes its file's name.

    Raises:
        CorpusError: nothing there, or a file that cannot be read.
    """
    prompts: dict[str, list[str]] = defaultdict(list)
    for record in _records(source, split):
        prompts[record.category].append(record.prompt)
    if not prompts:
        raise CorpusError(f"{source}: no prompts")
    return dict(sorted(prompts.items()))


def load_answers(
    source: Path, prompts: Mapping[str, Collection[str]], per_class: int, seed: int
) -> Mapping[str, list[Record]]:
    """Class → up to `per_class` random records that answer one of its `prompts`.

    Raises:
        CorpusError: as `load_prompts`, or there is none.
    """
    answered: dict[str, list[Record]] = defaultdict(list)
    asked = {category: set(texts) for category, texts in prompts.items()}
    for record in _records(source, "train"):
        if record.completion and record.prompt in asked.get(record.category, ()):
            answered[record.category].append(record)
    if not answered:
        raise CorpusError(f"{source}: no record has a completion")
    return {
        category: [records[i] for i in _order(category, len(records), seed)[:per_class]]
        for category, records in sorted(answered.items())
    }


def _records(source: Path, split: str) -> Iterator[Record]:
    """Records with a prompt."""
    for name, path in _files(source, split):
        yield from (record for record in read_records(path, name) if record.prompt)


def _order(category: str, count: int, seed: int) -> list[int]:
    """A random order that depends on no other class."""
    order: list[int] = np.random.default_rng((seed, zlib.crc32(category.encode()))).permutation(count).tolist()
    return order


def _files(source: Path, split: str) -> Iterator[tuple[str, Path]]:
    if source.is_file():
        yield source.name.split(".")[0], source
        return
    flat = [path for path in sorted(source.glob("*.jsonl*")) if path.name.endswith(SUFFIXES)]
    if flat:
        yield from ((path.name.split(".")[0], path) for path in flat)
    else:
        yield from corpus_files(source, split).items()


def draw_prompts(
    model: LanguageModel, prompts: Mapping[str, Sequence[str]], per_class: int, *, max_prompt_tokens: int, seed: int
) -> list[tuple[str, str, tuple[int, ...]]]:
    """(class, text, ids): up to `per_class` random prompts of each class.

    A class's draw depends on no other class. Prompts that are longer than `max_prompt_tokens` are passed over.
    """
    drawn: list[tuple[str, str, tuple[int, ...]]] = []
    for category, texts in sorted(prompts.items()):
        order = _order(category, len(texts), seed)
        laid_out = ((category, texts[i], tuple(model.prompt_ids(texts[i]))) for i in order)
        drawn += islice((one for one in laid_out if len(one[2]) <= max_prompt_tokens), per_class)
    return drawn


def draw_samples(
    model: LanguageModel,
    prompts: Mapping[str, Sequence[str]],
    per_class: int,
    temperatures: Sequence[float],
    *,
    max_prompt_tokens: int,
    seed: int,
) -> list[tuple[str, Sample]]:
    """(class, sample): the prompts of `draw_prompts`, in each class the temperatures taken in turn."""
    drawn = draw_prompts(model, prompts, per_class, max_prompt_tokens=max_prompt_tokens, seed=seed)
    turns = {category: cycle(temperatures) for category in prompts}
    return [(category, Sample(ids, next(turns[category]))) for category, _, ids in drawn]


def both_temperatures(samples: Sequence[tuple[str, Sample]], temperatures: Sequence[float]) -> list[tuple[str, Sample]]:
    """Every prompt at every temperature, for an evaluation."""
    return [(category, Sample(sample.prompt_ids, t)) for category, sample in samples for t in temperatures]
