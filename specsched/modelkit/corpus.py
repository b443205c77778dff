"""Records of a corpus: JSON lines, plain or zstd-compressed, one folder per prompt class."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from specsched.errors import SetupError

USER, ASSISTANT, END, PAD = "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"
"""The special tokens of the reference chat template."""

SUFFIXES = (".jsonl", ".jsonl.zst")


class CorpusError(SetupError):
    """A corpus file is missing or is not what it should be."""

    reason = "CORPUS"


@dataclass(frozen=True, slots=True)
class Record:
    """One document: plain `text`, or a `prompt` with its `completion` (empty where only prompts are given)."""

    category: str
    subtype: str = ""
    text: str = ""
    prompt: str = ""
    completion: str = ""
    source: str = ""

    def render(self) -> str:
        """The document as the reference chat template lays it out."""
        if self.prompt:
            return f"{USER}{self.prompt}{ASSISTANT}{self.completion}{END}"
        return f"{self.text}{END}"


def open_text(path: Path) -> IO[str]:
    """Open a JSON lines file for reading, decompressing zstd by suffix."""
    if path.suffix != ".zst":
        return path.open(encoding="utf-8")
    import zstandard  # noqa: PLC0415  # an extra: plain files need none of it

    return io.TextIOWrapper(zstandard.open(path, "rb"), encoding="utf-8")


def read_records(path: Path, category: str = "") -> Iterator[Record]:
    """Stream the records of one file. `category` stands in where a record names none.

    Captured text calls it `prompt_class`.

    Raises:
        CorpusError: unreadable file or line, named by number.
    """
    number = 0
    try:
        with open_text(path) as lines:
            for number, line in enumerate(lines, start=1):  # noqa: B007  # the error below names it
                if line.strip():
                    yield _record(json.loads(line), category)
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CorpusError(f"{path}, line {number}: {error}") from error


def _record(fields: Mapping[str, Any], category: str) -> Record:
    turns = fields.get("turns")
    prompt = fields.get("prompt") or (turns[0] if turns else "")
    text = fields.get("text") or ""
    if not prompt and not text:
        raise ValueError("neither `text` nor `prompt`")
    return Record(
        category=fields.get("category") or fields.get("prompt_class") or category,
        subtype=fields.get("subtype") or "",
        text=text,
        prompt=prompt,
        completion=fields.get("completion") or "",
        source=fields.get("source") or "",
    )


def corpus_files(folder: Path, split: str) -> dict[str, Path]:
    """Class → file, for a folder of `<class>/<split>.jsonl[.zst]`.

    Raises:
        CorpusError: no such file in any class.
    """
    found = {
        path.parent.name: path
        for path in sorted(folder.glob(f"*/{split}.jsonl*"))
        if path.name.removeprefix(split) in SUFFIXES
    }
    if not found:
        raise CorpusError(f"{folder}: no <class>/{split}.jsonl or .jsonl.zst")
    return found
