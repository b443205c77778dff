"""Distil a draft: train it on the target's law over the target's own completions."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from specsched.modelkit.agreement import mean_acceptance
from specsched.modelkit.batches import batches_from
from specsched.modelkit.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from specsched.modelkit.chunks import backward_by_chunks
from specsched.modelkit.language_model import LanguageModel
from specsched.modelkit.objectives import OBJECTIVES, Objective
from specsched.modelkit.optimizer import Optimizers, OptimizerSettings
from specsched.modelkit.traces import TaughtTrace, hidden_of

AUTO = "auto"
_FIRST = "forward_kl"
_TRIAL = 0.15
"""Share of the budget that each objective has under `auto` before they are compared, and that all begin with."""


@dataclass(frozen=True, slots=True)
class DistillSettings:
    """What a distillation is."""

    tokens: int
    """Completion positions to learn from, repeats counted."""
    batch_tokens: int = 2_048
    """Padded tokens of one step. Small drafts gain more from many steps than from large ones, but each has a price."""
    objective: str = AUTO
    optimizer: OptimizerSettings = field(default_factory=lambda: OptimizerSettings(hidden_rate=6e-3, other_rate=4e-3))
    rate: float = 1.0
    """Factor on the optimizer's peak rates."""
    greedy_temperature: float = 0.8
    """At which laws are compared over greedy text, where only their peaks count; over sampled text it is 1."""
    seed: int = 0
    mixed_precision: bool = False
    evaluate_every: float = 0.2
    """Share of the budget."""
    save_every: int = 50


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
    folder: Path,
) -> Mapping[tuple[str, float], float]:
    """Train the draft in place; returns (class, temperature) → acceptance on the held-out traces.

    The first report is what the draft could do before. Checkpoints lie in `folder`: a run that was killed goes on from
    the last one when the same is asked again, to the same weights on a CPU.
    """
    run = _Run(target, draft, train, held_out, settings, report, folder)
    run.measure()
    objective = run.choose() if settings.objective == AUTO else settings.objective
    return run.learn("whole", objective, settings.tokens)


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
        folder: Path,
    ) -> None:
        self._target, self._draft, self._train = target, draft, train
        self._held_out, self._settings, self._report = held_out, settings, report
        self._objective = _FIRST if settings.objective == AUTO else settings.objective
        self._optimizers = Optimizers(draft.network, settings.optimizer.times(settings.rate))
        self._identity = _identity(draft, train, settings)
        self._folder = folder / self._identity
        self._step = self._tokens = 0
        self._batches = batches_from(0, train, settings.batch_tokens, settings.seed)

    def choose(self) -> str:
        """Learn a little, try every objective from there on the same batches, go on from the one accepted most."""
        share = int(_TRIAL * self._settings.tokens)
        self.learn("start", _FIRST, share)
        scores = {}
        for name in OBJECTIVES:
            self._resume("start")
            scores[name] = _mean(self.learn(name, name, 2 * share))
        best = max(scores, key=scores.__getitem__)
        self._resume(best)
        return best

    def learn(self, stage: str, objective: str, tokens: int) -> Mapping[tuple[str, float], float]:
        """Go through a stage, from its checkpoint where it has one, up to so many tokens; returns what it came to."""
        self._resume(stage)
        self._objective = objective
        pause = self._settings.evaluate_every * self._settings.tokens
        self._draft.network.train()
        while self._tokens < tokens:
            before = self._tokens
            self._learn(OBJECTIVES[objective])
            if self._step % self._settings.save_every == 0:
                self._save(stage)
            if before // pause < self._tokens // pause and self._tokens < tokens:
                self.measure()
        self._save(stage)
        return self.measure()

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
        taught = torch.cat([one.hidden for one in batch])
        heat = torch.cat([self._heat(one) for one in batch]).to(self._draft.network.device)  # [N, 1]

        def mean_loss(rows: Tensor, chunk: slice) -> Tensor:
            return objective(self._draft.logits(rows) / heat[chunk], self._target_logits(taught[chunk]) / heat[chunk])

        with self._precision():
            hidden = hidden_of(self._draft, [one.trace for one in batch])
            kept = torch.cat([hidden[row, one.trace.predicted] for row, one in enumerate(batch)])
            loss = backward_by_chunks(kept, mean_loss)
        self._optimizers.step(min(1.0, self._tokens / self._settings.tokens))
        self._tokens += len(kept)
        self._step += 1
        self._report(DistillProgress(self._tokens, time.monotonic() - started, loss, self._objective))

    def _heat(self, one: TaughtTrace) -> Tensor:
        greedy = one.trace.temperature == 0
        return torch.full((len(one.hidden), 1), self._settings.greedy_temperature if greedy else 1.0)

    @torch.no_grad()
    def _target_logits(self, hidden: Tensor) -> Tensor:
        return self._target.logits(hidden.to(self._target.network.device, self._target.network.dtype))

    def _precision(self) -> AbstractContextManager[Any]:
        device = self._draft.network.device.type
        return torch.autocast(device, torch.bfloat16) if self._settings.mixed_precision else nullcontext()

    def _save(self, stage: str) -> None:
        folder = self._folder / stage
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint = Checkpoint(
            step=self._step,
            tokens=self._tokens,
            model={name: tensor.detach().cpu() for name, tensor in self._draft.network.state_dict().items()},
            optimizers=self._optimizers.state_dict(),
            stream=[self._step],
            random=torch.get_rng_state(),
            settings=self._identity,
        )
        save_checkpoint(folder, checkpoint)

    def _resume(self, stage: str) -> None:
        found = load_checkpoint(self._folder / stage, self._identity)
        if found is None:
            return
        self._draft.network.load_state_dict(found.model)
        self._optimizers.load_state_dict(found.optimizers)
        torch.set_rng_state(found.random)
        self._step, self._tokens = found.step, found.tokens
        self._batches = batches_from(found.step, self._train, self._settings.batch_tokens, self._settings.seed)


def _identity(draft: LanguageModel, train: Sequence[TaughtTrace], settings: DistillSettings) -> str:
    """What a run is: its settings, its start and its lessons. One that is asked for something else begins anew."""
    digest = sha256(repr(settings).encode())
    for parameter in draft.network.parameters():
        digest.update(parameter.detach().cpu().float().numpy().tobytes())
    for one in train:
        digest.update(np.asarray(one.trace.ids).tobytes())
    return digest.hexdigest()[:16]


def _mean(acceptance: Mapping[tuple[str, float], float]) -> float:
    return sum(acceptance.values()) / max(1, len(acceptance))
