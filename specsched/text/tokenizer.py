"""Text ↔ token ids of one target, without transformers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from specsched.errors import PoolError
from specsched.records import ChatPrompt
from specsched.text.template import ChatTemplate, refusal

TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
GENERATION_FILE = "generation_config.json"
TEMPLATE_FILE = "chat_template.jinja"


class Tokenizer:
    """A target's tokenizer and chat template. Holds no state of a request; threads may share it."""

    def __init__(
        self, backend: tokenizers.Tokenizer, template: ChatTemplate | None, eos_token_ids: Sequence[int] = ()
    ) -> None:
        self._backend = backend
        self._template = template
        self.eos_token_ids = tuple(eos_token_ids)

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """Read a model folder; only tokenizer.json and tokenizer_config.json must be there.

        Raises:
            PoolError: a file is missing or damaged.
        """
        backend = _read_backend(folder / TOKENIZER_FILE)
        config = _read_json(folder / CONFIG_FILE)
        source = _template_source(folder, config)
        try:
            template = None if source is None else ChatTemplate(source, _special_tokens(config))
        except PoolError as error:
            raise PoolError(f"{folder}: {error}") from error
        return cls(backend, template, _eos_token_ids(backend, config, folder / GENERATION_FILE))

    @property
    def vocab_size(self) -> int:
        """Tokens, added ones included."""
        return self._backend.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str, *, special_tokens: bool = True) -> tuple[int, ...]:
        """Return the ids of a text; with `special_tokens` also those that the tokenizer puts around one (BOS).

        A rendered conversation holds its special tokens already: pass False for it, as transformers does.
        """
        return tuple(self._backend.encode(text, add_special_tokens=special_tokens).ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids without special tokens and without clean-up of spaces."""
        return self._backend.decode(list(token_ids), skip_special_tokens=True)

    def render(self, prompt: ChatPrompt) -> str:
        """Return a conversation as text, with its generation prompt.

        Raises:
            InvalidRequest: there is no chat template, or it refuses the messages.
        """
        if self._template is None:
            raise refusal("this model has no chat template; send a text or token ids")
        return self._template.render(prompt.messages)


def _read_backend(path: Path) -> tokenizers.Tokenizer:
    try:
        backend = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PoolError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # the library raises bare Exception for every damaged file
        raise PoolError(f"{path}: is no tokenizer ({error})") from error
    # A limit in the file is for training batches; a prompt is never cut or filled up in silence.
    backend.no_truncation()
    backend.no_padding()
    return backend


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PoolError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise PoolError(f"{path}: is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise PoolError(f"{path}: holds no JSON object")
    return content


def _template_source(folder: Path, config: Mapping[str, Any]) -> str | None:
    path = folder / TEMPLATE_FILE
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return _default_template(config.get("chat_template"), folder / CONFIG_FILE)
    except (OSError, UnicodeDecodeError) as error:
        raise PoolError(f"{path}: cannot be read ({error})") from error


def _default_template(entry: Any, path: Path) -> str | None:
    # Older files hold a list of named templates.
    if isinstance(entry, list):
        entry = next((each.get("template") for each in entry if each.get("name") == "default"), None)
    if entry is not None and not isinstance(entry, str):
        raise PoolError(f"{path}: chat_template is neither a template nor a list of them")
    return entry


def _special_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    """Names such as bos_token, as a template sees them."""
    contents = {name: _content(config[name]) for name in config if name.endswith("_token")}
    return {name: content for name, content in contents.items() if content is not None}


def _content(entry: Any) -> str | None:
    # A token stands there as its text, or as the fields of an added token.
    if isinstance(entry, dict):
        entry = entry.get("content")
    return entry if isinstance(entry, str) else None


def _eos_token_ids(backend: tokenizers.Tokenizer, config: Mapping[str, Any], generation: Path) -> tuple[int, ...]:
    """The tokenizer's EOS, then those that the generation config adds (instruction-tuned models name several)."""
    text = _content(config.get("eos_token"))
    found = None if text is None else backend.token_to_id(text)
    more = _read_json(generation).get("eos_token_id") if generation.exists() else None
    listed = more if isinstance(more, list) else [more]
    return tuple(dict.fromkeys(token for token in [found, *listed] if token is not None))
