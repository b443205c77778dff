"""A byte-level BPE tokenizer for a corpus, with the reference chat template."""

import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from specsched.modelkit.corpus import ASSISTANT, END, PAD, USER, Record, corpus_files, read_records

_CHARACTERS_PER_CLASS = 8_000_000

CHAT_TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}"
    f"{ASSISTANT}{{{{ m['content'] }}}}{END}{{% else %}}{USER}{{{{ m['content'] }}}}{{% endif %}}{{% endfor %}}"
    f"{{% if add_generation_prompt %}}{ASSISTANT}{{% endif %}}"
)


def train_tokenizer(corpus: Path, vocabulary: int) -> Tokenizer:
    """Learn merges from the head of every class's train split."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, USER, ASSISTANT, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(corpus), trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the files that transformers loads."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "TokenizersBackend",
        "backend": "tokenizers",
        "eos_token": END,
        "pad_token": PAD,
        "extra_special_tokens": [USER, ASSISTANT],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")


def _texts(corpus: Path) -> Iterator[str]:
    for path in corpus_files(corpus, "train").values():
        characters = 0
        for record in read_records(path):
            yield from _pieces(record)
            characters += len(record.text) + len(record.prompt) + len(record.completion)
            if characters > _CHARACTERS_PER_CLASS:
                break


def _pieces(record: Record) -> Iterator[str]:
    """The texts of a record without the template's tokens."""
    yield from (text for text in (record.text, record.prompt, record.completion) if text)
