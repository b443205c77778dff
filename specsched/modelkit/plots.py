"""Plots of an evaluation and of a training run. matplotlib is an extra."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from specsched.errors import SetupError
from specsched.modelkit.evaluate import Evaluation


def _figure(width: float, height: float, columns: int) -> Any:
    try:
        import matplotlib as mpl  # noqa: PLC0415  # an extra
        from matplotlib import pyplot as plt  # noqa: PLC0415
    except ImportError as error:
        raise SetupError("plots need matplotlib: pip install 'specsched[kit]'") from error
    mpl.use("Agg")
    return plt.subplots(1, columns, figsize=(width, height), squeeze=False, layout="constrained")


def plot_evaluation(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Draw the acceptance matrix and the hazards; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "acceptance.png", folder / "hazards.png"]
    for file, draw in zip(files, (_draw_matrix, _draw_hazards), strict=True):
        temperatures = evaluation.temperatures
        figure, axes = _figure(6.5 * len(temperatures), 4.5, len(temperatures))
        for axis, temperature in zip(axes[0], temperatures, strict=True):
            draw(axis, evaluation, temperature)
            axis.set_title(f"temperature {temperature:g}")
        figure.savefig(file, dpi=120)
    return files


def _draw_matrix(axis: Any, evaluation: Evaluation, temperature: float) -> None:
    classes = [c for c in evaluation.classes if (c, temperature) in evaluation.cells]
    drafts = evaluation.drafts
    values = [[evaluation.cells[c, temperature].acceptance(d) for d in drafts] for c in classes]
    axis.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    axis.set_xticks(range(len(drafts)), drafts, rotation=45, ha="right")
    axis.set_yticks(range(len(classes)), classes)
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if value < 0.6 else "black")


def _draw_hazards(axis: Any, evaluation: Evaluation, temperature: float) -> None:
    for draft in evaluation.drafts:
        cells = [cell.hazards(draft) for (_, t), cell in evaluation.cells.items() if t == temperature]
        columns = [[value for value in column if value is not None] for column in zip(*cells, strict=True)]
        means = [sum(column) / len(column) if column else float("nan") for column in columns]
        axis.plot(range(1, len(means) + 1), means, marker="o", label=draft)
    axis.set(xlabel="position in the round", ylabel="hazard, mean over classes", ylim=(0, 1))
    axis.legend(fontsize="small")


def plot_loss(log: Path, file: Path) -> Path:
    """Draw the loss curve of a training log (JSON lines)."""
    records = list(_read(log))
    figure, axes = _figure(7, 4.5, 1)
    axis = axes[0][0]
    steps = [r for r in records if not r["valid"]]
    axis.plot([r["tokens"] for r in steps], [r["loss"] for r in steps], linewidth=0.5, color="grey", label="train")
    valid = [r for r in records if r["valid"]]
    for name in sorted(valid[-1]["valid"]) if valid else ():
        axis.plot([r["tokens"] for r in valid], [r["valid"][name] for r in valid], marker=".", label=name)
    axis.set(xlabel="tokens", ylabel="loss (nats a token)")
    axis.legend(fontsize="small")
    figure.savefig(file, dpi=120)
    return file


def _read(log: Path) -> Iterator[dict[str, Any]]:
    with log.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
