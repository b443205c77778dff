"""A manifest's entry is pointed at other weights; all else in the file stays."""

import pytest

from specsched.errors import PoolError
from specsched.pool.edit import replace_draft
from specsched.pool.manifest import load_pool

BLOCK = """\
# Ours.
target: {id: big, path: target}

drafts:
  - id: general  # for all
    kind: model
    path: drafts/general
  - id: code
    kind: model
    path: "drafts/code"
    sha256: 0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a
  - {id: ngram, kind: ngram}
"""
FLOW = "target: {id: big, path: t}\ndrafts: [{id: general, kind: model, path: general}, {id: ngram, kind: ngram}]\n"
HASH = "4" * 64


@pytest.mark.parametrize(("text", "draft"), [(BLOCK, "general"), (BLOCK, "code"), (FLOW, "general")])
def test_one_entry_changes_and_nothing_else(tmp_path, text, draft):
    manifest = tmp_path / "pool.yaml"
    manifest.write_text(text)
    before = {spec.id: spec for spec in load_pool(manifest).drafts}
    replace_draft(manifest, draft, tmp_path / "drafts" / "new one", HASH)
    after = {spec.id: spec for spec in load_pool(manifest).drafts}
    changed = after.pop(draft)
    assert (changed.path, changed.sha256) == (tmp_path / "drafts" / "new one", HASH)
    assert after == {name: spec for name, spec in before.items() if name != draft}
    kept = [line for line in text.splitlines() if "general" not in line and "code" not in line and "0a" not in line]
    assert [line for line in kept if line not in manifest.read_text().splitlines()] == []
    assert ("# for all" in manifest.read_text()) == ("# for all" in text)


@pytest.mark.parametrize("text", [BLOCK, "- 1\n", "drafts: 3\n", "{"])
def test_an_entry_that_is_not_there_is_named(tmp_path, text):
    manifest = tmp_path / "pool.yaml"
    manifest.write_text(text)
    with pytest.raises(PoolError, match=r"pool\.yaml: no"):
        replace_draft(manifest, "poetry", tmp_path, HASH)
    assert manifest.read_text() == text


def test_a_draft_without_weights_stays_as_it_is(tmp_path):
    manifest = tmp_path / "pool.yaml"
    manifest.write_text(BLOCK)
    with pytest.raises(PoolError, match="'ngram' has no path"):
        replace_draft(manifest, "ngram", tmp_path, HASH)
