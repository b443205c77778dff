"""A model's files, checked before anything heavy touches them: present, whole, and the ones that were meant."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specsched.errors import PoolError
from specsched.pool.compatibility import TOKENIZER_FILE
from specsched.pool.manifest import ModelSpec

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
CONFIG_FILE = "config.json"

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000
_VERSION_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Weights:
    """What the headers of a model's weight files say."""

    parameters: int
    bytes: int
    dtypes: tuple[str, ...]
    sha256: str
    """Of model.safetensors; of all shards' hashes in order where there are several."""

    @property
    def version(self) -> str:
        """Short form of the hash: part of an arm's identity."""
        return self.sha256[:_VERSION_DIGITS]


def verify_weights(spec: ModelSpec) -> Weights:
    """Check a model's folder: files there, no weight file cut short, hash as the manifest gives it.

    Raises:
        PoolError: one line naming the file and what is wrong with it.
    """
    if spec.path is None:
        raise PoolError(f"{spec.id}: a {spec.kind} draft has no weights")
    if not spec.path.is_dir():
        raise PoolError(f"{spec.id}: {spec.path} is no folder")
    for name in (CONFIG_FILE, TOKENIZER_FILE):
        if not (spec.path / name).is_file():
            raise PoolError(f"{spec.id}: {spec.path / name} is missing")
    files = weight_files(spec.path)
    headers = [read_header(file) for file in files]
    digest = _digest(files)
    if spec.sha256 is not None and digest != spec.sha256:
        raise PoolError(f"{spec.id}: {files[0]} has SHA-256 {digest}, the manifest says {spec.sha256}")
    return _summary(files, headers, digest)


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The folder's safetensors files, shards in the index's order.

    Raises:
        PoolError: none there, or a damaged index.
    """
    index = folder / INDEX_FILE
    if not index.is_file():
        return (folder / WEIGHTS_FILE,)
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return tuple(folder / name for name in dict.fromkeys(names))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise PoolError(f"{index}: no index that can be read") from error


def read_header(file: Path) -> Mapping[str, Any]:
    """Tensor name → dtype, shape and offsets, after checking that the file is as long as its header says.

    Raises:
        PoolError: missing, cut short, or no safetensors file.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
            if not 0 < length <= min(size - _LENGTH_BYTES, _MAX_HEADER_BYTES):
                raise PoolError(f"{file}: {size} bytes are no safetensors file, or it was cut short")
            tree = json.loads(stream.read(length))
        tensors = {name: entry for name, entry in tree.items() if name != "__metadata__"}
        expected = _LENGTH_BYTES + length + max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    except OSError as error:
        raise PoolError(f"{file}: {error.strerror or error}") from error
    except (ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        raise PoolError(f"{file}: its header cannot be read") from error
    if size != expected:
        raise PoolError(f"{file}: {size} bytes, its header says {expected}: cut short or damaged")
    return tensors


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest(files: tuple[Path, ...]) -> str:
    if len(files) == 1:
        return sha256_of(files[0])
    return hashlib.sha256("".join(sha256_of(file) for file in files).encode()).hexdigest()


def _summary(files: tuple[Path, ...], headers: list[Mapping[str, Any]], digest: str) -> Weights:
    entries = [entry for header in headers for entry in header.values()]
    return Weights(
        parameters=sum(_elements(entry["shape"]) for entry in entries),
        bytes=sum(file.stat().st_size for file in files),
        dtypes=tuple(sorted({entry["dtype"] for entry in entries})),
        sha256=digest,
    )


def _elements(shape: list[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
