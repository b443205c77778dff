"""Whether a draft speaks the target's tokens: compared string by string, id by id."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specsched.errors import PoolError, VocabularyMismatch

TOKENIZER_FILE = "tokenizer.json"
_SHOWN = 3


def check_vocabulary(target: Path, draft: Path) -> None:
    """Compare the token strings of two model folders.

    Raises:
        VocabularyMismatch: the first ids whose strings differ.
        PoolError: a tokenizer is missing or damaged.
    """
    ours, theirs = read_vocabulary(target), read_vocabulary(draft)
    ids = sorted(ours.keys() | theirs.keys())
    differing = [token_id for token_id in ids if ours.get(token_id) != theirs.get(token_id)]
    if differing:
        shown = ", ".join(f"{i}: {ours.get(i)!r} ≠ {theirs.get(i)!r}" for i in differing[:_SHOWN])
        others = f"{len(differing)} tokens differ ({shown})"
        raise VocabularyMismatch(f"{draft} has another vocabulary than {target}: {others}")


def read_vocabulary(folder: Path) -> dict[int, str]:
    """Id → token string of a folder's tokenizer.json, added tokens included.

    Raises:
        PoolError: missing or damaged.
    """
    path = folder / TOKENIZER_FILE
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        tokens = _strings(tree["model"]["vocab"])
        return tokens | {token["id"]: token["content"] for token in tree.get("added_tokens", ())}
    except OSError as error:
        raise PoolError(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PoolError(f"{path}: no tokenizer that can be read") from error


def _strings(vocab: Any) -> dict[int, str]:
    """BPE and WordPiece list string → id; Unigram lists [string, score] by id."""
    if isinstance(vocab, Mapping):
        return {token_id: token for token, token_id in vocab.items()}
    return {token_id: token for token_id, (token, _) in enumerate(vocab)}
