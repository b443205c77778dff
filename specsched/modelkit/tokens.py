"""A corpus as token ids: tokenised once, kept in flat files, read by memory map."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from specsched.modelkit.corpus import corpus_files, read_records

TokenArray = NDArray[np.unsignedinteger[Any]]

_BATCH = 2_000
_UINT16_VOCABULARY = 1 << 16


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents of one class end to end: `ids[starts[i]:starts[i + 1]]` is document i."""

    ids: TokenArray
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def shuffled(self, rng: np.random.Generator) -> TokenArray:
        """All documents end to end in a random order."""
        order = rng.permutation(len(self))
        return np.concatenate([self.ids[self.starts[i] : self.starts[i + 1]] for i in order])


NO_DOCUMENTS = Documents(np.empty(0, np.uint16), np.zeros(1, np.int64))


def load_documents(corpus: Path, split: str, tokenizer: Path, cache: Path) -> dict[str, Documents]:
    """Class → documents of one split; tokenised on first use and cached under `cache`."""
    folder = cache / hashlib.sha256(tokenizer.read_bytes()).hexdigest()[:12]
    return {
        category: _load_or_build(path, tokenizer, folder / f"{category}-{split}-{_fingerprint(path)}")
        for category, path in corpus_files(corpus, split).items()
    }


def _fingerprint(path: Path) -> str:
    stat = path.stat()
    return hashlib.sha256(f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}".encode()).hexdigest()[:8]


def _load_or_build(path: Path, tokenizer: Path, stem: Path) -> Documents:
    ids_file, starts_file = stem.with_suffix(".ids.npy"), stem.with_suffix(".starts.npy")
    if not starts_file.exists():  # written last, so its presence vouches for both
        stem.parent.mkdir(parents=True, exist_ok=True)
        built = encode_documents(
            (record.render() for record in read_records(path)), Tokenizer.from_file(str(tokenizer))
        )
        _save(ids_file, built.ids)
        _save(starts_file, built.starts)
    return Documents(np.load(ids_file, mmap_mode="r"), np.load(starts_file))


def _save(path: Path, array: NDArray[np.generic]) -> None:
    partial = path.with_suffix(".part.npy")
    np.save(partial, array)
    partial.replace(path)


def encode_documents(texts: Iterator[str], tokenizer: Tokenizer) -> Documents:
    """Tokenise documents as they stand: no special token is added."""
    dtype = np.uint16 if tokenizer.get_vocab_size() <= _UINT16_VOCABULARY else np.uint32
    pieces: list[TokenArray] = []
    while batch := list(islice(texts, _BATCH)):
        pieces.extend(_encode(batch, tokenizer, dtype))
    starts = np.cumsum([0, *(len(piece) for piece in pieces)], dtype=np.int64)
    ids: TokenArray = np.concatenate(pieces) if pieces else np.empty(0, dtype)
    return Documents(ids, starts)


def _encode(batch: Sequence[str], tokenizer: Tokenizer, dtype: type[np.unsignedinteger[Any]]) -> list[TokenArray]:
    encoded = tokenizer.encode_batch_fast(list(batch), add_special_tokens=False)
    return [np.asarray(one.ids, dtype) for one in encoded]
