import re

import pytest
from pydantic import ValidationError

from specsched.config.pool import DraftEntry, PoolManifest, TargetEntry, parse_manifest

TARGET = {"id": "big", "path": "target"}
SHA = "a" * 64


def test_what_is_left_out_has_its_default() -> None:
    manifest = parse_manifest({"target": TARGET})
    assert manifest == PoolManifest(target=TargetEntry(id="big", path="target"))
    assert (manifest.drafts, manifest.classifier, manifest.target.dtype) == ((), None, "float32")


def test_a_whole_manifest_is_read() -> None:
    manifest = parse_manifest(
        {
            "target": {**TARGET, "dtype": "bfloat16", "quantization": "int8", "sha256": SHA},
            "drafts": [{"id": "small", "path": "d"}, {"id": "lookup", "kind": "ngram"}, {"id": "none", "kind": "none"}],
            "classifier": {"path": "c.skops"},
        }
    )
    assert [(draft.id, draft.kind) for draft in manifest.drafts] == [
        ("small", "model"),
        ("lookup", "ngram"),
        ("none", "none"),
    ]
    assert manifest.drafts[0] == DraftEntry(id="small", path="d")
    assert manifest.classifier is not None
    assert manifest.classifier.path == "c.skops"


def draft(**fields: object) -> dict[str, object]:
    return {"target": TARGET, "drafts": [{"id": "ok", "kind": "ngram"}, {"id": "d", **fields}]}


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        ({}, "target: Field required"),
        ({"target": None}, "target: Input should be a valid dictionary"),
        ({"target": {"id": "", "path": "t"}}, "target.id: String should have at least 1 character"),
        ({"target": {"id": "big"}}, "target.path: Field required"),
        ({"target": {**TARGET, "dtype": "int4"}}, "target.dtype: Input should be 'float32'"),
        ({"target": {**TARGET, "quantization": "fp8"}}, "target.quantization: Input should be 'none' or 'int8'"),
        ({"target": {**TARGET, "sha256": SHA.upper()}}, "target.sha256: String should match pattern"),
        ({"target": {**TARGET, "sha256": SHA[1:]}}, "target.sha256: String should match pattern"),
        ({"target": TARGET, "speed": 3}, "speed: Extra inputs are not permitted"),
        ({"target": TARGET, "drafts": {"id": "d"}}, "drafts: Input should be a valid tuple"),
        ({"target": TARGET, "classifier": {}}, "classifier.path: Field required"),
        (draft(kind="eagle"), "drafts.1.kind: Input should be 'model', 'ngram' or 'none'"),
        (draft(path="p", gamma=3), "drafts.1.gamma: Extra inputs are not permitted"),
        (draft(), "drafts.1: kind `model` needs a `path`"),
        (draft(kind="ngram", path="p"), "drafts.1: kind `ngram` takes no `path`"),
        (draft(kind="ngram", copy_match_tokens=4), "drafts.1: kind `ngram` takes neither `copy_match_tokens`"),
        (draft(path="p", stop_below_share=1), "drafts.1.stop_below_share: Input should be less than 1"),
        (draft(kind="none"), "drafts.1: the id `none` and the kind `none` belong together: plain decoding"),
        (draft(id="none", path="p"), "drafts.1: the id `none` and the kind `none` belong together: plain decoding"),
        (draft(id="big", path="p"), "ids must be unique, given more than once: big"),
        (draft(id="ok", path="p"), "ids must be unique, given more than once: ok"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_its_field(tree: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(told)}") as refused:
        parse_manifest(tree)
    assert "\n" not in str(refused.value)
    assert type(refused.value) is ValueError


def test_the_manifest_is_frozen() -> None:
    manifest = parse_manifest({"target": TARGET})
    with pytest.raises(ValidationError, match="frozen"):
        manifest.target = TargetEntry(id="other", path="t")  # type: ignore[misc]
