"""The target's law by enumeration, written without the engine, on transformers' own logits processors."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np
import torch
from scipy import stats
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    PreTrainedModel,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from specsched.records import Sampling

Law = dict[tuple[int, ...], float]


def reference_law(network: PreTrainedModel, prompt: Sequence[int], sampling: Sampling, length: int) -> Law:
    """Probability of every completion of `length` tokens, by one full forward over all of them."""
    vocab = network.config.vocab_size
    completions = list(product(range(vocab), repeat=length))
    ids = torch.tensor([[*prompt, *completion] for completion in completions])
    with torch.inference_mode():
        logits = network(ids).logits[:, len(prompt) - 1 : -1].float()
    probability = torch.ones(len(completions), dtype=torch.float64)
    for position in range(length):
        shaped = _shape(logits[:, position], ids[:, : len(prompt) + position], len(prompt), sampling)
        probability *= shaped.double().softmax(-1).gather(1, ids[:, len(prompt) + position, None])[:, 0]
    law = dict(zip(completions, probability.tolist(), strict=True))
    assert abs(sum(law.values()) - 1) < 1e-6
    return law


def _shape(logits: torch.Tensor, ids: torch.Tensor, prompt_length: int, sampling: Sampling) -> torch.Tensor:
    for token, bias in sampling.logit_bias.items():
        logits = logits.clone()
        logits[:, token] += bias
    if sampling.repetition_penalty != 1.0:
        logits = RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty)(ids, logits)
    counts = torch.stack([torch.bincount(row[prompt_length:], minlength=logits.shape[-1]) for row in ids])
    logits = logits - sampling.frequency_penalty * counts - sampling.presence_penalty * (counts > 0)
    warpers = LogitsProcessorList([TemperatureLogitsWarper(float(sampling.temperature))])
    if sampling.min_p:
        warpers.append(MinPLogitsWarper(sampling.min_p))
    if sampling.top_k:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        warpers.append(TopPLogitsWarper(sampling.top_p))
    return warpers(ids, logits)


def p_value(law: Law, sample: Iterable[tuple[int, ...]]) -> float:
    """χ² test of a sample against a law; cells with few expected counts are pooled. An impossible outcome gives 0."""
    seen = Counter(sample)
    total = sum(seen.values())
    if any(law[outcome] < 1e-9 for outcome in seen):
        return 0.0
    cells = sorted(law, key=law.__getitem__)
    expected = np.array([law[cell] * total for cell in cells])
    observed = np.array([float(seen[cell]) for cell in cells])
    pooled = np.searchsorted(np.cumsum(expected), 5.0) + 1  # the rarest cells, at least five expected together
    expected = np.append(expected[pooled:], expected[:pooled].sum())
    observed = np.append(observed[pooled:], observed[:pooled].sum())
    if len(expected) < 2:
        return 1.0
    return float(stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue)


def total_variation(law: Law, sample: Iterable[tuple[int, ...]]) -> float:
    """½ Σ |empirical − law|."""
    seen = Counter(sample)
    total = sum(seen.values())
    return 0.5 * sum(abs(seen[outcome] / total - p) for outcome, p in law.items())
