"""Model folders that plain transformers loads: bf16 safetensors beside tokenizer and template."""

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from specsched.modelkit.language_model import silence_transformers

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
)


def export(network: Any, tokenizer_of: Path, folder: Path) -> None:
    """Write a model folder. The network itself keeps its dtype."""
    folder.mkdir(parents=True, exist_ok=True)
    silence_transformers()
    copy = deepcopy(network).to(device="cpu", dtype=torch.bfloat16)
    copy.set_attn_implementation("sdpa")
    copy.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        weights.chmod(0o644)  # written for their owner alone; services run as other users
    for name in TOKENIZER_FILES:
        source, destination = tokenizer_of / name, folder / name
        if source.is_file() and source.resolve() != destination.resolve():
            shutil.copyfile(source, destination)
