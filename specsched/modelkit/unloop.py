"""Unlearn loops: a model hears that what its own text says again is not to come, and stays as it was elsewhere.

Greedy text of small models loops, all the more of those that have learnt to copy: what has been said twice is copied a
third time (self-reinforcement, arXiv 2206.02369). So it writes, and what a 4-gram has said before it is taught to avoid
(unlikelihood on its own text, arXiv 1908.04319, section 5.2). At all other tokens it keeps to the law that it had: with
text of the corpus in its stead the reference target unlearnt copying together with the loops.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from specsched.modelkit.export import export
from specsched.modelkit.generation import GenerationSettings, generate
from specsched.modelkit.language_model import LanguageModel, load_language_model
from specsched.modelkit.objectives import forward_kl
from specsched.modelkit.optimizer import Optimizers, OptimizerSettings
from specsched.modelkit.precision import fast_bfloat16
from specsched.modelkit.prompts import draw_samples, load_prompts
from specsched.modelkit.traces import TaughtTrace, Trace, batches_by_length, hidden_of, teach
from specsched.text.repetition import NGRAM, is_looping, said_before

_TEMPERATURES = (0.0, 0.0, 0.8)
_FEW = 100
"""Marked tokens; a step with fewer takes them as lightly as there are."""


@dataclass(frozen=True, slots=True)
class Unlooping:
    """One run of `models unloop`."""

    start: Path
    out: Path
    prompts: Path
    rounds: int = 5
    """Each has it write anew, to other prompts."""
    per_class: int = 24
    max_new_tokens: int = 96
    max_prompt_tokens: int = 220
    batch_tokens: int = 1_536
    rate: float = 0.2
    """Factor on the learning rates of training."""
    seed: int = 0

    @property
    def optimizer(self) -> OptimizerSettings:
        """Gentle: the model is trained already."""
        return OptimizerSettings(warmup=0.05, muon=fast_bfloat16("cpu")).times(self.rate)


@dataclass(frozen=True, slots=True)
class Sobriety:
    """What the model wrote at the beginning of a round."""

    round: int
    looping: float
    """Share of its greedy completions."""


def unloop(job: Unlooping, report: Callable[[Sobriety], None]) -> None:
    """Write, mark and learn, round by round; then export.

    Raises:
        SetupError: no such model; no prompts.
    """
    model, before = load_language_model(job.start), load_language_model(job.start)
    optimizers, prompts = Optimizers(model.network, job.optimizer), load_prompts(job.prompts)
    for turn in range(job.rounds):
        own = _written(model, prompts, job, job.seed + turn)
        report(Sobriety(turn, float(np.mean([is_looping(t.completion_ids) for t in own if t.temperature == 0]))))
        batches = _batches(teach(before, own, hidden_dtype=torch.float32), job, turn)
        for i, batch in enumerate(batches):
            _loss(model, before, batch).backward()
            optimizers.step((turn + i / len(batches)) / job.rounds)
    export(model.network, job.start, job.out)


def _written(model: LanguageModel, prompts: Mapping[str, Sequence[str]], job: Unlooping, seed: int) -> list[Trace]:
    drawn = draw_samples(
        model, prompts, job.per_class, _TEMPERATURES, max_prompt_tokens=job.max_prompt_tokens, seed=seed
    )
    settings = GenerationSettings(max_new_tokens=job.max_new_tokens, seed=seed)
    completions = generate(model, [sample for _, sample in drawn], settings)
    return [
        Trace(category, sample.temperature, sample.prompt_ids, completion)
        for (category, sample), completion in zip(drawn, completions, strict=True)
        if completion
    ]


def _batches(taught: Sequence[TaughtTrace], job: Unlooping, turn: int) -> list[list[TaughtTrace]]:
    batches = [[taught[i] for i in some] for some in batches_by_length([t.trace for t in taught], job.batch_tokens)]
    random.Random(job.seed + turn).shuffle(batches)
    return batches


def _loss(model: LanguageModel, before: LanguageModel, batch: Sequence[TaughtTrace]) -> Tensor:
    traces = [one.trace for one in batch]
    with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16("cpu")):
        hidden = hidden_of(model, traces)
    logits = model.logits(torch.cat([hidden[row, t.predicted] for row, t in enumerate(traces)]).float())  # [N, V]
    again = torch.tensor([mark for trace in traces for mark in _again(trace.completion_ids)])  # [N]
    tokens = torch.tensor([token for trace in traces for token in trace.completion_ids])
    law = before.logits(torch.cat([one.hidden for one in batch]))
    return forward_kl(logits[~again], law[~again]) + unlikelihood(logits[again], tokens[again])


def _again(completion: Sequence[int]) -> list[bool]:
    """Of each token, whether it ends a 4-gram that stood before."""
    return ([False] * (NGRAM - 1) + said_before(completion))[: len(completion)]


def unlikelihood(logits: Tensor, tokens: Tensor) -> Tensor:
    """Mean -log(1 - p) of tokens that are not to come (arXiv 1908.04319, eq. 4), less where there are few."""
    others = logits.scatter(1, tokens[:, None], -torch.inf)
    return (logits.logsumexp(-1) - others.logsumexp(-1)).sum() / max(len(tokens), _FEW)
