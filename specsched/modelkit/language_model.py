"""A model folder as the kit uses it: network, tokenizer, and how a prompt is laid out."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from specsched.errors import PoolError, UnsupportedModel

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a folder is given: nothing is looked up elsewhere


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A causal language model and its tokenizer."""

    network: Any
    tokenizer: Any
    path: Path

    @property
    def vocabulary(self) -> int:
        """Rows of the output embedding."""
        return int(self.network.get_output_embeddings().weight.shape[0])

    @property
    def context_tokens(self) -> int:
        """Positions that the model allows."""
        return int(getattr(self.network.config, "max_position_embeddings", 0) or 1 << 20)

    @property
    def eos_ids(self) -> frozenset[int]:
        """Ids that end a completion, as for an engine: the tokenizer is not asked."""
        eos = self.network.generation_config.eos_token_id
        if eos is None:
            eos = self.network.config.eos_token_id
        return frozenset(eos if isinstance(eos, list) else [] if eos is None else [eos])

    def prompt_ids(self, prompt: str) -> list[int]:
        """A user's prompt through the chat template, or as it stands where there is none."""
        if self.tokenizer.chat_template:
            messages = [{"role": "user", "content": prompt}]
            text = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            return list(self.tokenizer(text, add_special_tokens=False).input_ids)
        return list(self.tokenizer(prompt).input_ids)

    def hidden(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Last hidden states, [B, T, D]."""
        body: Any = self.network.base_model
        states: Tensor = body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return states

    def logits(self, hidden: Tensor) -> Tensor:
        """Float logits of hidden states, [..., V]."""
        head: nn.Module = self.network.get_output_embeddings()
        logits: Tensor = head(hidden).float()
        cap = getattr(self.network.config, "final_logit_softcapping", None)
        return torch.tanh(logits / cap) * cap if cap else logits


def load_language_model(path: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> LanguageModel:
    """Load a Hugging Face folder.

    Raises:
        PoolError: missing or unreadable folder.
        UnsupportedModel: no causal language model.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415  # seconds to import

    silence_transformers()
    if not (path / "config.json").is_file():
        raise PoolError(f"{path}: no model folder (config.json is missing)")
    try:
        network: Any = AutoModelForCausalLM.from_pretrained(path, dtype=dtype)
        network = network.to(device).eval()
        tokenizer = AutoTokenizer.from_pretrained(path)
    except (ValueError, KeyError) as error:
        raise UnsupportedModel(f"{path}: {_first_line(error)}") from error
    except (OSError, RuntimeError) as error:
        raise PoolError(f"{path}: {_first_line(error)}") from error
    return LanguageModel(network, tokenizer, path)


def silence_transformers() -> None:
    """No warnings, no bars: the commands have their own."""
    from transformers import logging  # noqa: PLC0415  # seconds to import

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def pad_batch(rows: Sequence[Sequence[int]], pad: int, *, left: bool) -> tuple[Tensor, Tensor]:
    """Ids and mask, both [B, longest]."""
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for i, row in enumerate(rows):
        where = slice(longest - len(row), longest) if left else slice(0, len(row))
        ids[i, where] = torch.tensor(row)
        mask[i, where] = 1
    return ids, mask
