"""Muon for the hidden matrices, AdamW for the rest, one schedule for both.

Muon (Jordan 2024, kellerjordan.github.io/posts/muon) orthogonalises the momentum of each hidden matrix; with
updates scaled to AdamW's size (arXiv 2502.16982, eq. 4) both take learning rates of one order.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """Peak learning rates and their schedule: a linear warm-up, then linearly down (arXiv 2502.15938)."""

    hidden_rate: float = 3e-3
    other_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warmup: float = 0.04
    """Share of the budget."""
    floor: float = 0.02
    """Share of the peak that is left at the end."""
    clip_norm: float = 1.0
    muon: bool = True
    """It orthogonalises in bfloat16; without it AdamW takes the hidden matrices too."""

    def times(self, factor: float) -> Self:
        """The same with both peak rates multiplied."""
        return replace(self, hidden_rate=factor * self.hidden_rate, other_rate=factor * self.other_rate)

    def scale(self, progress: float) -> float:
        """Share of the peak rate at `progress` (0 … 1) of the budget."""
        if progress < self.warmup:
            return max(progress / self.warmup, 0.02)
        return max(self.floor, (1.0 - progress) / (1.0 - self.warmup))


class Optimizers:
    """Both optimisers as one."""

    def __init__(self, model: nn.Module, settings: OptimizerSettings) -> None:
        self._settings = settings
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        hidden = list(_hidden_matrices(model))
        chosen = {id(p) for p in hidden}
        rest = [p for p in self._parameters if id(p) not in chosen]
        self._optimizers: list[tuple[torch.optim.Optimizer, float]] = [
            (torch.optim.AdamW(rest, lr=settings.other_rate, betas=(0.9, 0.97), weight_decay=0.0), settings.other_rate),
        ]
        if hidden:
            self._optimizers.append((_for_hidden(hidden, settings), settings.hidden_rate))

    def step(self, progress: float) -> float:
        """Clip, update, forget the gradients. Returns the gradient's norm before clipping."""
        norm = nn.utils.clip_grad_norm_(self._parameters, self._settings.clip_norm)
        for optimizer, peak in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * self._settings.scale(progress)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return float(norm)

    def state_dict(self) -> list[dict[str, object]]:
        """States of both, in order."""
        return [optimizer.state_dict() for optimizer, _ in self._optimizers]

    def load_state_dict(self, states: Iterable[dict[str, object]]) -> None:
        """Take up saved states."""
        for (optimizer, _), state in zip(self._optimizers, states, strict=True):
            optimizer.load_state_dict(state)


def _hidden_matrices(model: nn.Module) -> Iterable[nn.Parameter]:
    outer = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    head = getattr(model, "lm_head", None)
    outer |= {id(p) for p in head.parameters()} if isinstance(head, nn.Module) else set()
    return (p for p in model.parameters() if p.requires_grad and p.ndim == 2 and id(p) not in outer)


def _for_hidden(parameters: list[nn.Parameter], settings: OptimizerSettings) -> torch.optim.Optimizer:
    rate, decay = settings.hidden_rate, settings.weight_decay
    if not settings.muon or not hasattr(torch.optim, "Muon"):  # torch < 2.9
        return torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.97), weight_decay=decay)
    return torch.optim.Muon(parameters, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
