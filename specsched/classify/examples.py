"""Labelled prompts: JSON lines with `prompt`, `category` and `source`, plain or zstd-compressed."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from specsched.errors import SetupError

SUFFIXES = (".jsonl", ".jsonl.zst")


class ExampleError(SetupError):
    """A file of labelled prompts is missing or is not what it should be."""

    reason = "EXAMPLES"


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt, its class, and the data set that it comes from."""

    text: str
    prompt_class: str
    source: str


def read_examples(path: Path) -> list[Example]:
    """Read one file. A record that names no source belongs to its folder.

    Raises:
        ExampleError: unreadable file or line, named by number.
    """
    number = 0
    examples = []
    try:
        with _open(path) as lines:
            for number, line in enumerate(lines, start=1):  # noqa: B007  # the error below names it
                examples.append(_example(json.loads(line), f"{path.parent.parent.name}/{path.parent.name}"))
    except OSError as error:
        raise ExampleError(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ExampleError(f"{path}, line {number}: {error}") from error
    return examples


def training_examples(folder: Path) -> list[Example]:
    """Read a folder's `train.jsonl[.zst]`, where there is one.

    Raises:
        ExampleError: no labelled prompts at all, or a damaged file.
    """
    return [example for path in _files(folder) if _is_training(path) for example in read_examples(path)]


def held_out_examples(folder: Path) -> list[Example]:
    """Read every file of a folder but `train.jsonl[.zst]`.

    Raises:
        ExampleError: no labelled prompts at all, or a damaged file.
    """
    return [example for path in _files(folder) if not _is_training(path) for example in read_examples(path)]


def _files(folder: Path) -> list[Path]:
    found = sorted(path for suffix in SUFFIXES for path in folder.glob("*" + suffix))
    if not found:
        raise ExampleError(f"{folder}: no labelled prompts, *.jsonl or *.jsonl.zst")
    return found


def _is_training(path: Path) -> bool:
    return path.name.partition(".")[0] == "train"


def _example(fields: Mapping[str, Any], home: str) -> Example:
    prompt, prompt_class = fields["prompt"], fields["category"]
    if not (isinstance(prompt, str) and isinstance(prompt_class, str) and prompt_class):
        raise ValueError("prompt and category are no texts")
    return Example(prompt, prompt_class, _family(fields.get("source") or home))


def _family(source: str) -> str:
    """The data set, without the document in it: `SGD:dev1_00015` and `SGD test` are both `SGD`."""
    return source.partition(":")[0].partition(" ")[0]


def _open(path: Path) -> IO[str]:
    if path.suffix != ".zst":
        return path.open(encoding="utf-8")
    import zstandard  # noqa: PLC0415  # an extra: plain files need none of it

    return io.TextIOWrapper(zstandard.open(path, "rb"), encoding="utf-8")
