"""A target of random weights whose arithmetic dominates: what remains of a speed-up once overhead doesn't count.

Drafts are accepted at given rates (`workers.synthetic_acceptance`), since random weights agree with nobody.
"""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from transformers import AutoConfig, LlamaConfig, LlamaForCausalLM

from specsched.pool.manifest import ModelSpec, Pool

RATES = (0.8,)
"""Hazard at every position: what a draft that suits its class reaches on the reference pool (models/README.md)."""
COPYING_RATES = (0.92,)
"""The same where the output copies from its prompt."""
SHAPE = {
    "hidden_size": 768,
    "intermediate_size": 2_048,
    "num_hidden_layers": 14,
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
    "head_dim": 64,
}
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def random_pool(pool: Pool, folder: Path, shape: Mapping[str, int] = SHAPE, seed: int = 0) -> Pool:
    """Write a Llama of about 90 million random weights that speaks a pool's vocabulary.

    Args:
        pool: Gives vocabulary, tokenizer and drafts: its first draft model, and what needs no weights.
        folder: Where the model is written.
        shape: Its sizes, as transformers names them.
        seed: Of the weights.
    """
    assert pool.target.path is not None, "targets have a path"
    known = AutoConfig.from_pretrained(pool.target.path, local_files_only=True)
    config = LlamaConfig(
        **shape,  # type: ignore[arg-type]  # one mapping for all
        vocab_size=known.vocab_size,
        max_position_embeddings=known.max_position_embeddings,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=known.pad_token_id,
    )
    torch.manual_seed(seed)
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in _TOKENIZER_FILES:
        if (pool.target.path / name).is_file():
            shutil.copy(pool.target.path / name, folder)
    models = [draft for draft in pool.drafts if draft.kind == "model"]
    others = [draft for draft in pool.drafts if draft.kind != "model"]
    return replace(pool, target=ModelSpec("random", "model", folder), drafts=(*models[:1], *others))
