import json
from pathlib import Path

import pytest

from specsched.errors import PoolError, VocabularyMismatch
from specsched.pool.compatibility import check_vocabulary, read_vocabulary


def folder_with(path: Path, vocab: object, added: list[dict[str, object]] | None = None) -> Path:
    path.mkdir()
    tree = {"model": {"vocab": vocab}, "added_tokens": added or []}
    (path / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
    return path


def test_equal_strings_pass_however_they_are_stored(tmp_path):
    bpe = folder_with(tmp_path / "a", {"x": 0, "y": 1}, [{"id": 2, "content": "<end>"}])
    unigram = folder_with(tmp_path / "b", [["x", -1.0], ["y", -2.0], ["<end>", 0.0]])
    check_vocabulary(bpe, unigram)


def test_the_first_differences_are_named(tmp_path):
    ours = folder_with(tmp_path / "a", {"x": 0, "y": 1, "z": 2})
    theirs = folder_with(tmp_path / "b", {"x": 0, "z": 1})
    with pytest.raises(VocabularyMismatch, match=r"2 tokens differ \(1: 'y' ≠ 'z', 2: 'z' ≠ None\)"):
        check_vocabulary(ours, theirs)


def test_a_damaged_tokenizer_is_named(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(PoolError, match=r"tokenizer\.json: no tokenizer"):
        read_vocabulary(tmp_path)
