"""Prompts with the target's own completions, and the target's last hidden states over them.

A hidden state of D numbers stands for the target's whole law at that position (the head is applied again
when it is needed): for D = 384 and a vocabulary of 4,096 a tenth of the memory of its logits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from specsched.modelkit.language_model import LanguageModel, pad_batch


@dataclass(frozen=True, slots=True)
class Trace:
    """One prompt with one completion."""

    category: str
    temperature: float
    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        """Prompt and completion."""
        return self.prompt_ids + self.completion_ids

    @property
    def predicted(self) -> slice:
        """Positions whose next token belongs to the completion."""
        return slice(len(self.prompt_ids) - 1, len(self.ids) - 1)


@dataclass(frozen=True, slots=True)
class TaughtTrace:
    """A trace with the target's hidden states at its predicted positions."""

    trace: Trace
    hidden: Tensor  # [completion, D]


def batches_by_length(traces: Sequence[Trace], tokens: int) -> Iterator[list[int]]:
    """Indices in batches of like lengths with at most `tokens` padded tokens (one trace at least)."""
    order = sorted(range(len(traces)), key=lambda i: -len(traces[i].ids))
    while order:
        rows = max(1, tokens // len(traces[order[0]].ids))
        yield order[:rows]
        order = order[rows:]


@torch.inference_mode()
def teach(
    target: LanguageModel, traces: Sequence[Trace], *, tokens: int = 8_192, hidden_dtype: torch.dtype = torch.float16
) -> list[TaughtTrace]:
    """Run the target once over every trace. Half precision is enough to learn from, not to measure with."""
    taught: list[TaughtTrace | None] = [None] * len(traces)
    for batch in batches_by_length(traces, tokens):
        hidden = hidden_of(target, [traces[i] for i in batch])
        for row, index in enumerate(batch):
            kept = hidden[row, traces[index].predicted].to("cpu", hidden_dtype).clone()
            taught[index] = TaughtTrace(traces[index], kept)
    return [one for one in taught if one is not None]


def hidden_of(model: LanguageModel, traces: Sequence[Trace]) -> Tensor:
    """Hidden states of right-padded traces, [B, longest, D]. Causal: the padding is seen by nobody."""
    ids, _ = pad_batch([trace.ids for trace in traces], 0, left=False)
    return model.hidden(ids.to(model.network.device))


def save_taught(path: Path, taught: Sequence[TaughtTrace]) -> None:
    """Keep taught traces for another run; replaces the file atomically."""
    rows = [
        (t.trace.category, t.trace.temperature, t.trace.prompt_ids, t.trace.completion_ids, t.hidden) for t in taught
    ]
    partial = path.with_name(path.name + ".part")
    torch.save(rows, partial)
    partial.replace(path)


def load_taught(path: Path) -> list[TaughtTrace]:
    """What `save_taught` wrote."""
    return [
        TaughtTrace(Trace(category, temperature, tuple(prompt), tuple(completion)), hidden)
        for category, temperature, prompt, completion, hidden in torch.load(path, weights_only=True)
    ]
