"""Distil a draft: train it on the target's law over the target's own completions."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from specsched.modelkit.agreement import mean_acceptance
from specsched.modelkit.language_model import LanguageModel
from specsched.modelkit.objectives import OBJECTIVES, Objective
from specsched.modelkit.optimizer import Optimizers, OptimizerSettings
from specsched.modelkit.traces import TaughtTrace, hidden_of

AUTO = "auto"
_TRIAL = 0.15
"""Share of the budget after which, under `auto`, the objectives are compared."""


@dataclass(frozen=True, slots=True)
class DistillSettings:
    """What a distillation is."""

    tokens: int
    """Completion positions to learn from, repeats counted."""
    batch_tokens: int = 1_024
    """Padded tokens of one step. Small drafts gain more from many steps than from large ones."""
    objective: str = AUTO
    optimizer: OptimizerSettings = field(default_factory=lambda: OptimizerSettings(hidden_rate=6e-3, other_rate=4e-3))
    rate: float = 1.0
    """Factor on the optimizer's peak rates."""
    seed: int = 0
    mixed_precision: bool = False
    evaluate_every: float = 0.2
    """Share of the budget."""


@dataclass(frozen=True, slots=True)
class DistillProgress:
    """One step, or one evaluation where `acceptance` is given."""

    tokens: int
    seconds: float
    loss: float
    objective: str
    acceptance: Mapping[tuple[str, float], float] = field(default_factory=dict)


Report = Callable[[DistillProgress], None]


def distill(
    target: LanguageModel,
    draft: LanguageModel,
    train: Sequence[TaughtTrace],
    held_out: Sequence[TaughtTrace],
    settings: DistillSettings,
    report: Report,
) -> Mapping[tuple[str, float], float]:
    """Train the draft in place; returns (class, temperature) → acceptance on the held-out traces.

    The first report is what the draft could do before.
    """
    run = _Run(target, draft, train, held_out, settings, report)
    run.measure()
    if settings.objective == AUTO:
        run.choose()
    run.until(settings.tokens)
    return run.measure()


class _Run:
    """One draft on its way."""

    def __init__(
        self,
        target: LanguageModel,
        draft: LanguageModel,
        train: Sequence[TaughtTrace],
        held_out: Sequence[TaughtTrace],
        settings: DistillSettings,
        report: Report,
    ) -> None:
        self._target, self._draft = target, draft
        self._held_out, self._settings, self._report = held_out, settings, report
        self._objective = "forward_kl" if settings.objective == AUTO else settings.objective
        self._optimizers = Optimizers(draft.network, settings.optimizer.times(settings.rate))
        self._batches = endless_batches(train, settings.batch_tokens, torch.Generator().manual_seed(settings.seed))
        self._tokens = 0

    def choose(self) -> None:
        """Learn a little with forward KL, try every objective from there, keep the one that is accepted most."""
        share = int(_TRIAL * self._settings.tokens)
        self.until(share)
        start = deepcopy(self._draft.network.state_dict()), deepcopy(self._optimizers.state_dict())
        scores = {}
        for name in OBJECTIVES:
            self._restore(*deepcopy(start))
            self._objective, self._tokens = name, share
            self.until(2 * share)
            scores[name] = _mean(self.measure())
        self._restore(*start)
        self._objective, self._tokens = max(scores, key=scores.__getitem__), share

    def until(self, tokens: int) -> None:
        """Learn up to a number of tokens, measuring now and then."""
        pause = self._settings.evaluate_every * self._settings.tokens
        due = self._tokens + pause
        self._draft.network.train()
        while self._tokens < tokens:
            self._learn(OBJECTIVES[self._objective])
            if self._tokens >= due and self._tokens < tokens:
                self.measure()
                due += pause

    def measure(self) -> Mapping[tuple[str, float], float]:
        """Acceptance on the held-out traces."""
        started = time.monotonic()
        self._draft.network.eval()
        found = mean_acceptance(self._target, self._draft, self._held_out)
        self._draft.network.train()
        loss = 1.0 - _mean(found)
        self._report(DistillProgress(self._tokens, time.monotonic() - started, loss, self._objective, found))
        return found

    def _learn(self, objective: Objective) -> None:
        started = time.monotonic()
        batch = next(self._batches)
        target = self._target_logits(batch)
        with self._precision():
            hidden = hidden_of(self._draft, [one.trace for one in batch])
            kept = torch.cat([hidden[row, one.trace.predicted] for row, one in enumerate(batch)])
            draft = self._draft.logits(kept)
        loss = objective(draft, target)
        loss.backward()
        self._optimizers.step(min(1.0, self._tokens / self._settings.tokens))
        self._tokens += len(target)
        seconds = time.monotonic() - started
        self._report(DistillProgress(self._tokens, seconds, float(loss.detach()), self._objective))

    @torch.no_grad()
    def _target_logits(self, batch: Sequence[TaughtTrace]) -> Tensor:
        hidden = torch.cat([one.hidden for one in batch])
        return self._target.logits(hidden.to(self._target.network.device, self._target.network.dtype))

    def _precision(self) -> AbstractContextManager[Any]:
        device = self._draft.network.device.type
        return torch.autocast(device, torch.bfloat16) if self._settings.mixed_precision else nullcontext()

    def _restore(self, network: dict[str, Tensor], optimizers: list[dict[str, object]]) -> None:
        self._draft.network.load_state_dict(network)
        self._optimizers.load_state_dict(optimizers)


def _mean(acceptance: Mapping[tuple[str, float], float]) -> float:
    return sum(acceptance.values()) / max(1, len(acceptance))


def endless_batches(
    taught: Sequence[TaughtTrace], tokens: int, generator: torch.Generator
) -> Iterator[list[TaughtTrace]]:
    """Batches of like lengths with about `tokens` padded tokens, in a new random order every epoch."""
    lengths = torch.tensor([float(len(one.trace.ids)) for one in taught])
    while True:
        order = torch.argsort(
            lengths * (1 + 0.1 * torch.rand(len(taught), generator=generator)), descending=True
        ).tolist()
        batches = []
        while order:
            rows = max(1, tokens // len(taught[order[0]].trace.ids))
            batches.append([taught[i] for i in order[:rows]])
            order = order[rows:]
        for i in torch.randperm(len(batches), generator=generator).tolist():
            yield batches[i]
