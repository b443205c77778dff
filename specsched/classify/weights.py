"""The artefact: a linear classifier's weights, kept with skops and loaded without running anything."""

import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skops.io import dumps, loads
from skops.io.exceptions import UntrustedTypesFoundException

from specsched.classify.features import BUCKETS, LAYOUT
from specsched.errors import PoolError

MAX_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class Weights:
    """Coefficients (BUCKETS, K), intercepts (K,), the softmax's temperature, and the sources trained on."""

    classes: tuple[str, ...]
    coefficients: NDArray[Any]
    intercepts: NDArray[Any]
    temperature: float
    sources: tuple[str, ...] = ()


def save_weights(weights: Weights, path: Path) -> None:
    """Write weights, the coefficients in half precision.

    Raises:
        PoolError: the file cannot be written.
    """
    fields = {
        "layout": LAYOUT,
        "classes": list(weights.classes),
        "coefficients": weights.coefficients.astype(np.float16),
        "intercepts": weights.intercepts.astype(np.float32),
        "temperature": weights.temperature,
        "sources": list(weights.sources),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dumps(fields, compression=zipfile.ZIP_DEFLATED))
    except OSError as error:
        raise PoolError(f"{path}: {error.strerror or error}") from error


def load_weights(path: Path, expected: str | None = None) -> tuple[Weights, str]:
    """Return weights and their version, the first 12 digits of the file's SHA-256; `expected` is all of it.

    Raises:
        PoolError: the file is missing, too large, damaged, not the one that was meant, made for other features, or
            holds types beyond arrays.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PoolError(f"{path}: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise PoolError(f"{path}: {len(data)} bytes, a classifier has at most {MAX_BYTES}")
    digest = sha256(data).hexdigest()
    if expected is not None and digest != expected:
        raise PoolError(f"{path} has SHA-256 {digest}, the manifest's classifier.sha256 says {expected}")
    return _checked(path, _fields(path, data)), digest[:12]


def _fields(path: Path, data: bytes) -> Any:
    try:
        return loads(data, trusted=[])
    except UntrustedTypesFoundException as error:
        raise PoolError(f"{path}: holds more than arrays and numbers") from error
    except Exception as error:
        raise PoolError(f"{path}: not a classifier ({type(error).__name__})") from error


def _checked(path: Path, fields: Any) -> Weights:
    try:
        weights = Weights(
            tuple(map(str, fields["classes"])),
            np.asarray(fields["coefficients"], np.float32),
            np.asarray(fields["intercepts"], np.float32),
            float(fields["temperature"]),
            tuple(map(str, fields["sources"])),
        )
        layout = fields["layout"]
    except (KeyError, TypeError, ValueError) as error:
        raise PoolError(f"{path}: not a classifier ({type(error).__name__})") from error
    shape = (BUCKETS, len(weights.classes))
    if layout != LAYOUT or weights.coefficients.shape != shape or weights.intercepts.shape != shape[1:]:
        raise PoolError(f"{path}: made for other features, train it again")
    if not (weights.classes and weights.temperature > 0 and np.isfinite(weights.coefficients).all()):
        raise PoolError(f"{path}: damaged weights")
    return weights
