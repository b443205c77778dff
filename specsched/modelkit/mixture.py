"""Prompts to distil on, mixed so that no source's templates outweigh the others.

Drafts learn the prompts' form as much as the target's text: trained on one corpus alone they gain there and lose on
what people write. So records of a corpus stand beside labelled prompts and the classifier's own wordings, and whole
sources and wordings are held out to choose by.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, zip_longest
from pathlib import Path

from specsched.classify.examples import Example
from specsched.classify.phrasebook import SOURCE, Materials, Phrasebook
from specsched.modelkit.corpus import CorpusError, Record, corpus_files, read_records

_EVERY = 5
"""One wording in five is held out."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """What is mixed."""

    corpus: Path
    """Folder of `<class>/train.jsonl[.zst]`."""
    labelled: Path
    """Labelled prompts: one file."""
    held_out: frozenset[str] = frozenset()
    """Sources or subtypes that are measured on and never learnt."""
    each: int = 900
    """Records of the corpus per class, and labelled prompts."""
    wordings: int = 2_000
    """Own wordings per class."""
    measured: int = 60
    """Prompts per class of the `valid` split."""
    longest: int = 1_300
    """Characters of a prompt."""
    seed: int = 0


def write_mixture(mixture: Mixture, out: Path) -> Mapping[str, tuple[int, int]]:
    """Write `<class>/{train,valid}.jsonl`; returns class → records in both.

    Raises:
        CorpusError: a file is missing or is not what it should be.
    """
    counts = {}
    for category, train, valid in _mixed(mixture):
        folder = out / category
        folder.mkdir(parents=True, exist_ok=True)
        for split, records in (("train", train), ("valid", valid)):
            lines = "".join(json.dumps(asdict(record)) + "\n" for record in records)
            (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")
        counts[category] = len(train), len(valid)
    return counts


def _mixed(mixture: Mixture) -> Iterator[tuple[str, list[Record], list[Record]]]:
    rng = random.Random(mixture.seed)
    labelled = _short(read_records(mixture.labelled), mixture)
    known, away = _parted(labelled, mixture)
    examples = [Example(record.prompt, record.category, record.source) for record in known]
    learnt, measured = (
        _worded(book, count, examples, mixture, rng)
        for book, count in zip(Phrasebook.load().split(_EVERY), (mixture.wordings, mixture.measured), strict=True)
    )
    for category, file in corpus_files(mixture.corpus, "train").items():
        corpus, _ = _parted(_short(read_records(file, category), mixture), mixture)
        of_class = [record for record in known if record.category == category]
        train = [*_balanced(corpus, mixture.each, rng), *_balanced(of_class, mixture.each, rng), *learnt[category]]
        rng.shuffle(train)
        valid = _balanced([r for r in away if r.category == category], mixture.measured // 2, rng)
        yield category, train, [*valid, *measured[category][: mixture.measured - len(valid)]]


def _short(records: Iterable[Record], mixture: Mixture) -> list[Record]:
    found = [record for record in records if record.prompt and len(record.prompt) <= mixture.longest]
    if not found:
        raise CorpusError("no prompts that are short enough")
    return found


def _parted(records: Sequence[Record], mixture: Mixture) -> tuple[list[Record], list[Record]]:
    """Those to learn from, and those that are held out. Sources name documents after a colon."""

    def held(record: Record) -> bool:
        return record.source.split(":")[0] in mixture.held_out or record.subtype in mixture.held_out

    return [r for r in records if not held(r)], [r for r in records if held(r)]


def _worded(
    book: Phrasebook, count: int, examples: Sequence[Example], mixture: Mixture, rng: random.Random
) -> dict[str, list[Record]]:
    """Class → own wordings, each once."""
    found: dict[str, dict[str, Record]] = defaultdict(dict)
    for one in book.draw(count, Materials.of(examples), rng):
        if len(one.text) <= mixture.longest:
            found[one.prompt_class][one.text] = Record(one.prompt_class, SOURCE, prompt=one.text, source=SOURCE)
    return {category: list(records.values()) for category, records in found.items()}


def _balanced(records: Sequence[Record], count: int, rng: random.Random) -> list[Record]:
    """Up to `count`, the subtypes taking turns."""
    by_subtype: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_subtype[record.subtype].append(record)
    for of_subtype in by_subtype.values():
        rng.shuffle(of_subtype)
    turns = chain.from_iterable(zip_longest(*by_subtype.values()))
    return [record for record in turns if record is not None][:count]
