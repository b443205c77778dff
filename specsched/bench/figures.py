"""matplotlib, which is an extra."""

from typing import Any

from specsched.errors import SetupError


def pyplot() -> Any:
    """Return `matplotlib.pyplot`, drawing into files.

    Raises:
        SetupError: it is missing.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415  # an extra
        from matplotlib import pyplot as plt  # noqa: PLC0415
    except ImportError as error:
        raise SetupError("plots need matplotlib: pip install 'specsched[kit]'") from error
    mpl.use("Agg")
    return plt
