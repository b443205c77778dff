"""The forward as a function that Python calls: compiled once per machine and version, then read from a cache.

numba's cache of a function knows that function's file alone, so it is kept in a folder named for all of this package's
sources. Where no folder can be written, each process compiles for itself.
"""

import hashlib
import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import numba
import structlog
from numba import types

from specsched.engine.fused.forward import NORMS, SHAPE, follow
from specsched.engine.fused.product import LINEAR

log = structlog.get_logger()

Kernel = Callable[..., None]
_INTS, _FLOATS = types.int64[::1], types.float32[::1]
_SIGNATURE = types.void(
    numba.from_dtype(SHAPE)[::1],
    numba.from_dtype(NORMS)[::1],
    numba.from_dtype(LINEAR)[::1],
    _FLOATS,
    _INTS,
    types.int64[:, ::1],
    types.int64[:, ::1],
    types.int64,
    types.boolean,
    _FLOATS,
    types.int64,
    types.int64[:, ::1],
)


@cache
def kernel() -> Kernel:
    """Return `follow`, ready to run."""
    folder = _folder()
    before, started = numba.config.CACHE_DIR, time.monotonic()
    try:
        numba.config.CACHE_DIR = str(folder or "")
        ready: Any = numba.njit(_SIGNATURE, error_model="numpy", nogil=True, cache=folder is not None)(_python(follow))
    finally:
        numba.config.CACHE_DIR = before
    hits = folder is not None and bool(ready.stats.cache_hits)
    log.info("kernel_ready", cached=hits, folder=str(folder), seconds=round(time.monotonic() - started, 2))
    return cast("Kernel", ready)


def _python(function: Any) -> Any:
    """Return what was compiled as a part, to be compiled as a whole."""
    return function.py_func


def _folder() -> Path | None:
    """Make the folder for compiled code; None where that is not possible."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    try:
        base = Path(numba.config.CACHE_DIR or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = base / "specsched" / digest
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # read-only, or nobody's home
        return None
    return folder if os.access(folder, os.W_OK) else None
