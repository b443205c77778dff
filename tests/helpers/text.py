"""A byte-level BPE tokenizer, trained in a moment: characters outside ASCII come in several tokens."""

import json
from functools import cache
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from specsched.text.template import ChatTemplate
from specsched.text.tokenizer import Tokenizer

CORPUS = ["the cat sat on the mat", "a stop string, then the end", "def add(a, b):\n    return a + b\n", "naïve café"]
TEMPLATE = (
    "{% for m in messages %}<|user|>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<|bot|>{% endif %}"
)
SPECIAL = ("<|end|>", "<|user|>", "<|bot|>")
EOS = 0


@cache
def byte_backend() -> tokenizers.Tokenizer:
    """All 256 bytes, a few merges, three special tokens (ids 0 to 2)."""
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS, trainer)
    return backend


def byte_tokenizer() -> Tokenizer:
    """The tokenizer with its template, as if loaded."""
    return Tokenizer(byte_backend(), ChatTemplate(TEMPLATE, {"eos_token": SPECIAL[EOS]}), (EOS,))


def save_tokenizer(folder: Path) -> Path:
    """Write it as a model folder holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    byte_backend().save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": SPECIAL[EOS]}))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder
