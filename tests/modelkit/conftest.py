"""A tiny corpus, and a tiny target in public format: random weights, byte-level BPE, chat template."""

import json
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from specsched.modelkit.export import export
from specsched.modelkit.tokenizer import save_tokenizer, train_tokenizer

VOCABULARY = 320


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for category, verb in (("chat", "say"), ("math", "add")):
        for split, count in (("train", 60), ("valid", 12)):
            path = folder / category / f"{split}.jsonl"
            path.parent.mkdir(exist_ok=True)
            records = [_record(category, verb, i) for i in range(count)]
            path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return folder


def _record(category: str, verb: str, number: int) -> dict[str, str]:
    if number % 4 == 0:
        return {"category": category, "text": f"They {verb} {number} and {number + 1} again and again."}
    return {
        "category": category,
        "prompt": f"Please {verb} {number}.",
        "completion": f"I {verb} {number}, then {number + 2}.",
    }


@pytest.fixture(scope="session")
def target_folder(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    folder = tmp_path_factory.mktemp("target")
    save_tokenizer(train_tokenizer(corpus, VOCABULARY), folder)
    torch.manual_seed(0)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            initializer_range=0.3,
            bos_token_id=None,
            eos_token_id=3,
            pad_token_id=0,
        )
    )
    export(network, folder, folder)
    return folder
