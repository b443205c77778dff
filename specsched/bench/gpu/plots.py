"""Table 6 as a picture: verification beside its bound, and tokens per second. matplotlib is an extra."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from specsched.errors import SetupError

Records = Sequence[Mapping[str, Any]]
"""A table's lines."""


def plot(verify: Records, speed: Records, file: Path) -> None:
    """Draw both tables.

    Raises:
        SetupError: matplotlib is missing.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415  # an extra
        from matplotlib import pyplot as plt  # noqa: PLC0415
    except ImportError as error:
        raise SetupError("plots need matplotlib: pip install 'specsched[kit]'") from error
    mpl.use("Agg")
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    labels = [f"{line['rows']} × {line['positions']}" for line in verify]
    _bars(axes[0], labels, verify, ("bytes_ms", "verify_ms", "uncaptured_ms"), "verification, ms")
    axes[0].set_xlabel("rows × positions")
    _bars(axes[1], [line["rows"] for line in speed], speed, ("plain_tok_s", "speculative_tok_s"), "tokens/s")
    axes[1].set_xlabel("rows")
    figure.savefig(file, dpi=120)
    plt.close(figure)


def _bars(axis: Any, labels: Sequence[object], lines: Records, columns: Sequence[str], title: str) -> None:
    places = np.arange(len(lines))
    width = 0.8 / len(columns)
    for number, column in enumerate(columns):
        axis.bar(places + number * width, [line[column] for line in lines], width, label=column)
    axis.set_xticks(places + width * (len(columns) - 1) / 2, [str(label) for label in labels])
    axis.set_title(title)
    axis.legend(fontsize="small")
