import pytest
import zstandard

from specsched.modelkit.corpus import CorpusError, Record, corpus_files, read_records


def test_records_are_rendered_by_the_template():
    assert Record("chat", prompt="Hi", completion="Hello").render() == "<|user|>Hi<|assistant|>Hello<|end|>"
    assert Record("chat", text="Once.").render() == "Once.<|end|>"


def test_zstd_and_plain_files_read_alike(tmp_path):
    line = b'{"prompt": "a", "completion": "b"}\n\n{"turns": ["c", "d"], "category": "qa"}\n'
    (tmp_path / "one.jsonl").write_bytes(line)
    (tmp_path / "two.jsonl.zst").write_bytes(zstandard.compress(line))
    plain = list(read_records(tmp_path / "one.jsonl", "code"))
    assert plain == [Record("code", prompt="a", completion="b"), Record("qa", prompt="c")]
    assert list(read_records(tmp_path / "two.jsonl.zst", "code")) == plain


@pytest.mark.parametrize("bad", ["{", "[1]", '{"completion": "only"}'])
def test_a_bad_line_is_named_by_number(tmp_path, bad):
    (tmp_path / "x.jsonl").write_text('{"text": "fine"}\n' + bad, encoding="utf-8")
    with pytest.raises(CorpusError, match=r"x\.jsonl, line 2"):
        list(read_records(tmp_path / "x.jsonl"))


def test_a_folder_without_the_split_is_refused(tmp_path, corpus):
    assert sorted(corpus_files(corpus, "valid")) == ["chat", "math"]
    with pytest.raises(CorpusError, match="no <class>/test"):
        corpus_files(corpus, "test")
