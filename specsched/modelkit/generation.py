"""Completions of many prompts at once: left-padded rows, finished ones dropped as they fall."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from specsched.modelkit.language_model import LanguageModel, pad_batch

_COMPACT_BELOW = 0.8


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How completions are drawn."""

    max_new_tokens: int = 128
    rows: int = 64
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt and the temperature at which it is continued (0 is greedy)."""

    prompt_ids: tuple[int, ...]
    temperature: float


def generate(
    model: LanguageModel,
    samples: Sequence[Sample],
    settings: GenerationSettings,
    report: Callable[[int], None] = lambda _: None,
) -> list[tuple[int, ...]]:
    """Continue every sample; the completions stand in the samples' order, EOS included.

    `report` is called with the number of new tokens after each batch.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    completions: list[tuple[int, ...]] = [()] * len(samples)
    for batch in _by_length(samples, settings.rows):
        rows = _Rows(model, [samples[i] for i in batch], settings.max_new_tokens, generator)
        for index, completion in zip(batch, rows.run(), strict=True):
            completions[index] = completion
        report(sum(len(completions[index]) for index in batch))
    return completions


def _by_length(samples: Sequence[Sample], rows: int) -> Iterator[list[int]]:
    """Indices in batches of like lengths, longest first (so that memory is short at once or never)."""
    order = sorted(range(len(samples)), key=lambda i: -len(samples[i].prompt_ids))
    for start in range(0, len(order), rows):
        yield order[start : start + rows]


class _Rows:
    """One batch on its way."""

    def __init__(
        self, model: LanguageModel, samples: Sequence[Sample], max_new_tokens: int, generator: torch.Generator
    ) -> None:
        from transformers import DynamicCache  # noqa: PLC0415  # seconds to import

        self._model = model
        self._generator = generator
        self._max_new_tokens = max_new_tokens
        self._completions: list[list[int]] = [[] for _ in samples]
        self._alive = list(range(len(samples)))
        self._temperatures = torch.tensor([sample.temperature for sample in samples])
        pad = next(iter(model.eos_ids), 0)
        self._ids, self._mask = pad_batch([sample.prompt_ids for sample in samples], pad, left=True)
        self._cache = DynamicCache(config=model.network.config)

    @torch.inference_mode()
    def run(self) -> list[tuple[int, ...]]:
        for _ in range(self._max_new_tokens):
            drawn = self._draw(self._forward())
            self._take(drawn)
            if not self._alive:
                break
        return [tuple(completion) for completion in self._completions]

    def _forward(self) -> Tensor:
        device = self._model.network.device
        positions = (self._mask.cumsum(1) - 1).clamp_min(0)[:, -self._ids.shape[1] :]
        hidden = self._model.network.base_model(
            input_ids=self._ids.to(device),
            attention_mask=self._mask.to(device),
            position_ids=positions.to(device),
            past_key_values=self._cache,
            use_cache=True,
        ).last_hidden_state
        return self._model.logits(hidden[:, -1]).cpu()  # [B, V]

    def _draw(self, logits: Tensor) -> Tensor:
        best = logits.argmax(-1)
        warm = self._temperatures > 0
        if warm.any():
            law = torch.softmax(logits[warm] / self._temperatures[warm, None], -1)
            best[warm] = torch.multinomial(law, 1, generator=self._generator)[:, 0]
        return best  # [B]

    def _take(self, drawn: Tensor) -> None:
        """Append the drawn tokens; rows that ended stay in the batch, unheard, until enough can be dropped."""
        eos = self._model.eos_ids
        live = []
        for row, (index, token) in enumerate(zip(self._alive, drawn.tolist(), strict=True)):
            if self._ended(index):
                continue
            self._completions[index].append(token)
            if token not in eos:
                live.append(row)
        self._ids = drawn[:, None]
        self._mask = torch.nn.functional.pad(self._mask, (0, 1), value=1)
        if len(live) < _COMPACT_BELOW * len(self._alive):
            self._keep(live)

    def _ended(self, index: int) -> bool:
        completion = self._completions[index]
        return bool(completion) and completion[-1] in self._model.eos_ids

    def _keep(self, rows: list[int]) -> None:
        self._alive = [self._alive[row] for row in rows]
        if rows:
            kept = torch.tensor(rows)
            self._ids, self._mask, self._temperatures = self._ids[kept], self._mask[kept], self._temperatures[kept]
            self._cache.batch_select_indices(kept.to(self._model.network.device))
