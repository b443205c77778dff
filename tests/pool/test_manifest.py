from pathlib import Path

import pytest

from specsched.errors import PoolError
from specsched.pool.manifest import ClassifierSpec, ModelSpec, load_pool

WHOLE = (
    """
target: {id: big, path: target, quantization: int8}
drafts:
  - {id: small, path: drafts/small, sha256: """
    + "a" * 64
    + """}
  - {id: lookup, kind: ngram}
  - {id: none, kind: none}
classifier: {path: classifier.skops, sha256: """
    + "b" * 64
    + "}"
)


def write(folder: Path, text: str) -> Path:
    path = folder / "pool.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_are_relative_to_the_manifest(tmp_path):
    pool = load_pool(write(tmp_path, WHOLE))
    assert pool.target == ModelSpec("big", "model", tmp_path / "target", quantization="int8")
    assert pool.drafts[0] == ModelSpec("small", "model", tmp_path / "drafts/small", sha256="a" * 64)
    assert pool.drafts[1] == ModelSpec("lookup", "ngram", None)
    assert pool.classifier == ClassifierSpec(tmp_path / "classifier.skops", "b" * 64)


def test_drafts_and_classifier_may_be_left_out(tmp_path):
    pool = load_pool(write(tmp_path, "target: {id: big, path: target}"))
    assert pool.drafts == ()
    assert pool.classifier is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("target: {id: big}", "target.path"),
        ("target: {id: big, path: t, dtype: int4}", "target.dtype"),
        ("target: {id: big, path: t}\nspeed: 3", "speed"),
        ("target: {id: big, path: t}\ndrafts: [{id: a, kind: model}]", "drafts.0: kind `model` needs a `path`"),
        ("target: {id: big, path: t}\ndrafts: [{id: a, kind: ngram, path: x}]", "takes no `path`"),
        ("target: {id: big, path: t}\ndrafts: [{id: none, kind: ngram}]", "plain decoding"),
        ("target: {id: a, path: t}\ndrafts: [{id: a, kind: ngram}]", "more than once: a"),
        ("target: {id: big, path: t, sha256: beef}", "target.sha256"),
        ("target: {id: big, path: t}\nclassifier: {path: c, sha256: beef}", "classifier.sha256"),
        ("target: [", "no valid YAML"),
        ("- a list", "expected a mapping"),
    ],
)
def test_a_wrong_manifest_is_one_line_that_names_file_and_field(tmp_path, text, named):
    path = write(tmp_path, text)
    with pytest.raises(PoolError) as caught:
        load_pool(path)
    assert str(path) in str(caught.value)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(PoolError, match=r"nowhere\.yaml: No such file"):
        load_pool(tmp_path / "nowhere.yaml")
