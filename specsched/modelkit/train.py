"""Train a causal language model on packed windows: the loop, its settings and its progress."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from specsched.modelkit import attention
from specsched.modelkit.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from specsched.modelkit.guide import ONLOOKER, Guide, Watcher
from specsched.modelkit.held_out import mean_loss
from specsched.modelkit.loss import next_token_loss
from specsched.modelkit.optimizer import Optimizers, OptimizerSettings
from specsched.modelkit.packing import PackedStream
from specsched.modelkit.tokens import NO_DOCUMENTS, Documents


@dataclass(frozen=True, slots=True)
class Stage:
    """Windows of one length until a share of the token budget is spent."""

    until: float
    window: int


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """What a run is. Two runs with equal settings, data and start give equal weights on a CPU."""

    tokens: int
    batch_tokens: int = 6_144
    micro_tokens: int = 2_048
    """Tokens of one forward; gradients add up to `batch_tokens`."""
    stages: tuple[Stage, ...] = (Stage(0.94, 512), Stage(1.0, 2_048))
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    repeats: float = 0.0
    """Share of windows of the tasks that teach copying."""
    guided: float = 0.1
    """Share of the budget through which heads are shown where copying looks, where there are repeats."""
    seed: int = 0
    mixed_precision: bool = True
    evaluate_every: int = 150
    save_every: int = 50

    def window(self, tokens: int) -> int:
        """Window length after so many tokens."""
        return next((s.window for s in self.stages if tokens < s.until * self.tokens), self.stages[-1].window)

    def guides(self, tokens: int) -> bool:
        """Whether heads are guided after so many tokens."""
        return self.repeats > 0 and tokens < self.guided * self.tokens


@dataclass(frozen=True, slots=True)
class Progress:
    """One step, or one evaluation where `valid` is given."""

    step: int
    tokens: int
    seconds: float
    loss: float
    window: int
    valid: Mapping[str, float] = field(default_factory=dict)


class Trainer:
    """Owns the model, its optimisers and the data's position. `run()` is the sentence: draw, learn, report, save."""

    def __init__(
        self,
        model: Any,
        train: Mapping[str, Documents],
        valid: Mapping[str, Documents],
        settings: TrainSettings,
        folder: Path,
        device: str = "cpu",
        repeats: Documents = NO_DOCUMENTS,
    ) -> None:
        self.model = model.to(device=device, dtype=torch.float32)
        self.settings = settings
        self._folder = folder
        self._device = device
        self._valid = valid
        self._stream = PackedStream(train, settings.seed, repeats, settings.repeats)
        self._optimizers = Optimizers(self.model, settings.optimizer)
        self._step = self._tokens = 0
        fused = device.startswith("cuda") and not settings.repeats
        self.model.set_attn_implementation("sdpa" if fused else attention.register())
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, report: Callable[[Progress], None], *, stop_after: int | None = None) -> None:
        """Train until the budget is spent (or so many steps are done), from the last checkpoint on."""
        self._resume()
        self.model.train()
        while self._tokens < self.settings.tokens and self._step != stop_after:
            report(self._learn())
            if self._step % self.settings.evaluate_every == 0:
                report(self.evaluate())
            if self._step % self.settings.save_every == 0:
                self.save()
        self.save()

    def _learn(self) -> Progress:
        started = time.monotonic()
        window = self.settings.window(self._tokens)
        rows = max(1, self.settings.micro_tokens // window)
        parts = max(1, self.settings.batch_tokens // (rows * window))
        losses = [self._backward(self._stream.batch(rows, window), parts) for _ in range(parts)]
        self._optimizers.step(self._tokens / self.settings.tokens)
        self._tokens += parts * rows * window
        self._step += 1
        return Progress(self._step, self._tokens, time.monotonic() - started, sum(losses) / parts, window)

    def _backward(self, windows: np.ndarray[Any, np.dtype[np.int64]], parts: int) -> float:
        ids = torch.from_numpy(windows).to(self._device)
        watcher = self._watcher(ids)
        loss = self._loss(ids, watcher)
        ((loss + watcher.loss) / parts).backward()
        return float(loss.detach())

    def _watcher(self, ids: Tensor) -> Watcher:
        return Guide(ids, self.model.config.num_hidden_layers) if self.settings.guides(self._tokens) else ONLOOKER

    def _loss(self, ids: Tensor, watcher: Watcher = ONLOOKER) -> Tensor:  # [B, T]
        ids = ids.to(self._device)
        with self._precision():
            hidden = self.model.base_model(input_ids=ids, use_cache=False, watcher=watcher).last_hidden_state
            half = hidden.to(torch.bfloat16) if self.settings.mixed_precision else hidden
        return next_token_loss(half, self.model.get_output_embeddings().weight, ids)

    def _precision(self) -> AbstractContextManager[Any]:
        if not self.settings.mixed_precision:
            return nullcontext()
        return torch.autocast(self._device.split(":")[0], torch.bfloat16)

    @torch.no_grad()
    def evaluate(self, tokens_per_class: int = 4_096) -> Progress:
        """Held-out loss per class on the head of each class's valid split."""
        started = time.monotonic()
        window = self.settings.window(self._tokens)
        self.model.eval()
        losses = {name: mean_loss(self._loss, d, window, tokens_per_class) for name, d in self._valid.items()}
        self.model.train()
        mean = sum(losses.values()) / max(1, len(losses))
        return Progress(self._step, self._tokens, time.monotonic() - started, mean, window, losses)

    def save(self) -> None:
        """Write a checkpoint."""
        state = {name: tensor.detach().cpu() for name, tensor in self.model.state_dict().items()}
        checkpoint = Checkpoint(
            step=self._step,
            tokens=self._tokens,
            model=state,
            optimizers=self._optimizers.state_dict(),
            stream=self._stream.state,
            random=torch.get_rng_state(),
            settings=self._identity,
        )
        save_checkpoint(self._folder, checkpoint)

    def _resume(self) -> None:
        found = load_checkpoint(self._folder, self._identity)
        if found is None:
            return
        self.model.load_state_dict(found.model)
        self._optimizers.load_state_dict(found.optimizers)
        self._stream.state = found.stream
        torch.set_rng_state(found.random)
        self._step, self._tokens = found.step, found.tokens

    @property
    def _identity(self) -> str:
        return json.dumps(asdict(self.settings), sort_keys=True)
