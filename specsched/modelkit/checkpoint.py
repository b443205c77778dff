"""Everything that a run needs to go on as if it had never stopped, in one file, replaced atomically."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from specsched.errors import SetupError

FILE = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of a run after `step` steps."""

    step: int
    tokens: int
    model: dict[str, torch.Tensor]
    optimizers: list[dict[str, Any]]
    stream: list[int]
    random: torch.Tensor
    settings: str
    """The run's settings as text: a run resumes only what it was."""


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the folder's checkpoint; a kill at any moment leaves the old one or the new one."""
    partial = folder / f"{FILE}.part"
    with partial.open("wb") as file:
        torch.save({name: getattr(checkpoint, name) for name in Checkpoint.__slots__}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / FILE)


def load_checkpoint(folder: Path, settings: str, warn: Callable[[str], None] = lambda _: None) -> Checkpoint | None:
    """The folder's checkpoint, or None where a run begins.

    Raises:
        SetupError: the checkpoint belongs to a run with other settings.
    """
    path = folder / FILE
    if not path.exists():
        return None
    found = Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
    if found.settings != settings:
        raise SetupError(f"{path} belongs to a run with other settings; choose another folder or remove it")
    warn(f"resumed from {path} at step {found.step}")
    return found
