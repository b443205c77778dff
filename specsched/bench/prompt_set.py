"""The project's own benchmark prompts: one file of JSON lines per class, in `prompts/` beside this module."""

import json
from collections.abc import Container, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from specsched.classify.base import PROMPT_CLASSES
from specsched.errors import SetupError

FOLDER = Path(__file__).with_name("prompts")
LENGTH_TAGS = ("short", "medium", "long")
KIND_TAGS = ("copy", "mixed")
LONG_CHARACTERS = 1000

_FIELDS = {"id", "category", "prompt", "tags"}


@dataclass(frozen=True, slots=True)
class BenchPrompt:
    """One prompt. Its tags are one of `LENGTH_TAGS`, then any of `KIND_TAGS`."""

    id: str
    prompt_class: str
    prompt: str
    tags: tuple[str, ...]


def load_prompts(classes: Sequence[str] | None = None) -> tuple[BenchPrompt, ...]:
    """The packaged prompts of `classes` (all when None), class by class, each in its file's order.

    Raises:
        SetupError: a class has no prompts, or a record is bad; the text names its file and line.
    """
    chosen = PROMPT_CLASSES if classes is None else tuple(dict.fromkeys(classes))
    unknown = [name for name in chosen if name not in PROMPT_CLASSES]
    if unknown:
        raise SetupError(f"no prompts for class {', '.join(unknown)}; there are: {', '.join(PROMPT_CLASSES)}")
    return tuple(prompt for name in chosen for prompt in read_prompts(FOLDER / f"{name}.jsonl", name))


def read_prompts(source: Traversable, prompt_class: str) -> tuple[BenchPrompt, ...]:
    """The prompts in one file, which must all be of `prompt_class` and carry different ids.

    Raises:
        SetupError: the file cannot be read, or a record is bad; the text names the file and the line.
    """
    try:
        lines = source.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"cannot read {source.name}: {error}") from error
    prompts: dict[str, BenchPrompt] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            prompt = _prompt(line, prompt_class, taken=prompts)
        except ValueError as error:
            raise SetupError(f"{source.name}, line {number}: {error}") from error
        prompts[prompt.id] = prompt
    return tuple(prompts.values())


def _prompt(line: str, prompt_class: str, taken: Container[str]) -> BenchPrompt:
    record = json.loads(line)
    if not isinstance(record, dict) or set(record) != _FIELDS:
        raise ValueError(f"not an object with exactly the fields {', '.join(sorted(_FIELDS))}")
    if record["category"] != prompt_class:
        raise ValueError(f"category {record['category']!r} in the file of {prompt_class!r}")
    for field in ("id", "prompt"):
        if not isinstance(record[field], str) or not record[field].strip():
            raise ValueError(f"{field} is no text, or empty")
    tags = _tags(record["tags"], record["prompt"])
    if record["id"] in taken:
        raise ValueError(f"id {record['id']!r} stands twice")
    return BenchPrompt(record["id"], prompt_class, record["prompt"], tags)


def _tags(tags: object, prompt: str) -> tuple[str, ...]:
    if not isinstance(tags, list) or len([tag for tag in tags if tag in LENGTH_TAGS]) != 1:
        raise ValueError(f"tags are no list with exactly one of {', '.join(LENGTH_TAGS)}")
    strange = [tag for tag in tags if tag not in LENGTH_TAGS + KIND_TAGS]
    if strange or len(set(tags)) != len(tags):
        raise ValueError(f"tags are unknown or stand twice: {tags}")
    if ("long" in tags) != (len(prompt) > LONG_CHARACTERS):
        raise ValueError(f"a prompt of {len(prompt)} characters tagged {tags}; long is above {LONG_CHARACTERS}")
    return tuple(tags)
