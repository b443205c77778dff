"""From logits to the law that a token is drawn from.

Order: logit_bias → min_tokens → penalties → temperature → min_p → top_k → top_p (vLLM's). The first three depend on
the row's history, position by position, also inside a round; the rest is vectorised over all positions at hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from specsched.engine.transfer import to_device
from specsched.engine.truncation import truncate
from specsched.records import Job, Sampling


class History:
    """A row's own edits of its logits: bias, forbidden stop tokens, penalties over what was said so far."""

    def __init__(self, job: Job, stop_ids: frozenset[int], vocab_size: int, device: torch.device) -> None:
        sampling = job.sampling
        self._sampling = sampling
        self._stop_ids = to_device(sorted(i for i in stop_ids if i < vocab_size), device, torch.long)
        self._min_tokens = job.min_tokens if len(stop_ids) else 0
        self._bias = _bias_vector(sampling, vocab_size, device)
        self._penalised = (
            sampling.repetition_penalty != 1.0 or sampling.presence_penalty != 0.0 or sampling.frequency_penalty != 0.0
        )
        self._counts = torch.zeros(vocab_size if self._penalised else 0, device=device)  # of the completion
        self._in_prompt = torch.zeros(vocab_size if self._penalised else 0, dtype=torch.bool, device=device)
        self._length = 0
        self.edits = False
        """Whether there is anything to edit at the next position."""
        if self._penalised:
            self._in_prompt[to_device(job.prompt_ids, device)] = True
        self.commit(job.generated_ids)

    def commit(self, tokens: Sequence[int]) -> None:
        """Add committed tokens."""
        self._length += len(tokens)
        self.edits = self._penalised or self._bias is not None or self._length < self._min_tokens
        if self._penalised and tokens:
            ones = torch.ones(len(tokens), device=self._counts.device)
            self._counts.index_add_(0, to_device(tokens, self._counts.device), ones)

    def edit(self, logits: Tensor, drafted: Sequence[int] | Tensor) -> Tensor:
        """Apply the edits at consecutive positions.

        Args:
            logits: [n, V]; row i is the position after the completion and `drafted[:i + len(drafted) + 1 - n]`.
            drafted: Tokens drafted in this round so far, len(drafted) + 1 ≥ n.

        Returns:
            Edited logits [n, V], a new tensor.
        """
        first = len(drafted) + 1 - len(logits)
        if self._bias is not None:
            logits = logits + self._bias
        forbidden = max(0, self._min_tokens - self._length - first)
        if forbidden:
            logits = logits.clone()
            logits[:forbidden, self._stop_ids] = -torch.inf
        return self._penalise(logits, drafted, first) if self._penalised else logits

    def _penalise(self, logits: Tensor, drafted: Sequence[int] | Tensor, first: int) -> Tensor:
        tokens = drafted if isinstance(drafted, Tensor) else to_device(drafted, logits.device, torch.long)
        said = torch.ones(len(logits), len(tokens), device=logits.device).tril(first - 1)  # before each position
        counts = self._counts.repeat(len(logits), 1)  # [n, V]
        counts.scatter_add_(1, tokens.expand(len(logits), -1), said)
        sampling = self._sampling
        if sampling.repetition_penalty != 1.0:
            seen = self._in_prompt | (counts > 0)
            scaled = torch.where(logits > 0, logits / sampling.repetition_penalty, logits * sampling.repetition_penalty)
            logits = torch.where(seen, scaled, logits)
        return logits - sampling.frequency_penalty * counts - sampling.presence_penalty * (counts > 0)


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive positions of one row among packed positions."""

    sampling: Sampling
    history: History
    count: int
    """Positions."""
    drafted: Sequence[int] | Tensor = ()
    """Tokens drafted in this round so far; the last position comes after all of them."""

    @property
    def plain(self) -> bool:
        """Whether the raw logits will do: only their arg max is asked for, and nothing edits it."""
        return self.sampling.greedy and not self.history.edits


def shape_logits(logits: Tensor, spans: Sequence[Span]) -> Tensor:
    """Turn raw logits into those of the law that is sampled from.

    Args:
        logits: [N, V], the spans' positions one after the other.
        spans: Σ count = N.

    Returns:
        [N, V]: softmax gives the law, arg max the greedy token; -inf where a token cannot come.
    """
    if all(span.plain for span in spans):
        return logits
    if any(span.history.edits for span in spans):
        parts = logits.split([span.count for span in spans])
        logits = torch.cat([_edited(part, span) for part, span in zip(parts, spans, strict=True)])
    tempered = _temper(logits, spans)
    return _truncate(tempered, spans) if any(map(_truncates, spans)) else tempered


def _edited(logits: Tensor, span: Span) -> Tensor:
    return span.history.edit(logits, span.drafted) if span.history.edits else logits


def _temper(logits: Tensor, spans: Sequence[Span]) -> Tensor:
    if all(span.sampling.temperature in {0.0, 1.0} for span in spans):
        return logits
    temperatures = [span.sampling.temperature or 1.0 for span in spans for _ in range(span.count)]
    return logits / to_device(temperatures, logits.device)[:, None]


def _truncates(span: Span) -> bool:
    """Whether something is cut off. A greedy row's arg max survives all three: nothing to do."""
    sampling = span.sampling
    return not sampling.greedy and (sampling.min_p > 0.0 or sampling.top_k > 0 or sampling.top_p < 1.0)


def _truncate(logits: Tensor, spans: Sequence[Span]) -> Tensor:
    """min_p, top_k, top_p, for those that sample."""
    sampling = [span.sampling for span in spans for _ in range(span.count)]
    vocab = logits.shape[-1]
    min_p = [0.0 if s.greedy else s.min_p for s in sampling]
    top_k = [vocab if s.greedy or s.top_k == 0 else min(s.top_k, vocab) for s in sampling]
    top_p = [1.0 if s.greedy else s.top_p for s in sampling]
    if any(min_p):
        floor = logits.amax(-1, keepdim=True) + to_device(min_p, logits.device).log()[:, None]
        logits = logits.masked_fill(logits < floor, -torch.inf)
    if any(k < vocab for k in top_k) or any(p < 1.0 for p in top_p):
        logits = truncate(logits, to_device(top_k, logits.device), to_device(top_p, logits.device))
    return logits


def _bias_vector(sampling: Sampling, vocab_size: int, device: torch.device) -> Tensor | None:
    if not sampling.logit_bias:
        return None
    bias = torch.zeros(vocab_size)
    for token, value in sampling.logit_bias.items():
        bias[token] = value
    return bias.to(device)
