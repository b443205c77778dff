"""numba's border: what is compiled keeps the type that it has as Python."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """Compile with the callers. Arithmetic is IEEE's, in the order written: nothing may be reassociated."""
    return cast("_F", numba.njit(error_model="numpy", nogil=True)(function))
