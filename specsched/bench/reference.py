"""What a benchmark asks the target, and what the target alone answers: transformers' own `generate()`."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel
from transformers.generation.streamers import BaseStreamer

from specsched.bench.prompt_set import BenchPrompt
from specsched.classify.base import PROMPT_CLASSES
from specsched.engine.network import load_network
from specsched.errors import SetupError
from specsched.pool.manifest import ModelSpec, Pool
from specsched.records import ChatMessage, ChatPrompt, Job, Plan, Sampling
from specsched.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Question:
    """A benchmark prompt, in tokens of the target."""

    id: str
    prompt_class: str
    prompt_ids: tuple[int, ...]

    def job(self, max_tokens: int) -> Job:
        """Ask it greedily."""
        return Job(self.id, self.prompt_ids, Sampling(temperature=0.0), Plan(), noise_seed=0, max_tokens=max_tokens)


class Reference:
    """The target alone, by transformers. Takes its network over: of its generation settings only EOS and pad stay."""

    def __init__(self, network: PreTrainedModel) -> None:
        eos = network.generation_config.eos_token_id
        pad = network.generation_config.pad_token_id or 0
        self._eos = frozenset(eos if isinstance(eos, list) else [] if eos is None else [eos])
        self._network: Any = network
        self._network.generation_config = GenerationConfig(eos_token_id=eos, pad_token_id=pad)
        self.max_context_tokens: int = network.config.get_text_config().max_position_embeddings

    def generate(
        self, prompt_ids: Sequence[int], max_tokens: int, streamer: BaseStreamer | None = None
    ) -> tuple[int, ...]:
        """Greedy completion, EOS included; `streamer` is handed the prompt, then each token."""
        ids = torch.tensor([list(prompt_ids)], device=self._network.device)
        mask = torch.ones_like(ids)
        options = {"attention_mask": mask, "do_sample": False, "max_new_tokens": max_tokens, "streamer": streamer}
        out = self._network.generate(ids, **options)
        return tuple(out[0, len(prompt_ids) :].tolist())

    def resume(self, prompt_ids: Sequence[int], said: tuple[int, ...], max_tokens: int) -> tuple[int, ...]:
        """Greedy completion that begins with `said`."""
        if len(said) >= max_tokens or said[-1] in self._eos:
            return said
        return said + self.generate((*prompt_ids, *said), max_tokens - len(said))

    def gap(self, prefix_ids: Sequence[int], token: int) -> float:
        """Best logit after a prefix - that of `token`."""
        logits = self._logits(prefix_ids)
        return float(logits.max() - logits[token])

    def top_gap(self, prefix_ids: Sequence[int]) -> float:
        """Best logit after a prefix - the second best."""
        best, second = self._logits(prefix_ids).topk(2).values.tolist()
        return float(best - second)

    @torch.inference_mode()
    def _logits(self, prefix_ids: Sequence[int]) -> Tensor:
        """Logits after a prefix, [V]."""
        ids = torch.tensor([list(prefix_ids)], device=self._network.device)
        logits: Tensor = self._network(ids).logits[0, -1].float()
        return logits


def load_reference(target: ModelSpec) -> Reference:
    """Load a target a second time, for transformers alone.

    Raises:
        PoolError: the model cannot be read.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return Reference(load_network(target))


def tokenizer_of(pool: Pool) -> Tokenizer:
    """The target's tokenizer.

    Raises:
        PoolError: it cannot be read.
    """
    assert pool.target.path is not None, "targets have a path"
    return Tokenizer.load(pool.target.path)


def draw_questions(
    tokenizer: Tokenizer, prompts: Sequence[BenchPrompt], count: int, room_tokens: int
) -> list[Question]:
    """`count` prompts, classes in turn; prompts of more than `room_tokens` tokens are passed over.

    Raises:
        SetupError: no prompt fits.
    """
    asked = [Question(p.id, p.prompt_class, _prompt_ids(tokenizer, p.prompt)) for p in prompts]
    fitting = [question for question in asked if len(question.prompt_ids) <= room_tokens]
    columns = [[q for q in fitting if q.prompt_class == name] for name in PROMPT_CLASSES]
    in_turn = [question for layer in zip_longest(*columns) for question in layer if question is not None]
    if not in_turn:
        raise SetupError(f"no benchmark prompt fits into {room_tokens} tokens")
    return in_turn[:count]


def _prompt_ids(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    rendered = tokenizer.render(ChatPrompt((ChatMessage("user", text),)))
    return tokenizer.encode(rendered, special_tokens=False)
