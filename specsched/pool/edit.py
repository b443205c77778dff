"""Point a manifest's entry at other weights, and leave every other character of the file as it is."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from specsched.errors import PoolError

_PLAIN = re.compile(r"[A-Za-z_.][\w./-]*")


def replace_draft(manifest: Path, draft: str, folder: Path, sha256: str) -> None:
    """Give a draft of the manifest another folder and hash; replaces the file atomically.

    Args:
        manifest: With an entry of that id that has a path.
        draft: Its id.
        folder: Of the new weights.
        sha256: Of their model.safetensors.

    Raises:
        PoolError: no such entry, or a file that is no manifest.
    """
    text = manifest.read_text(encoding="utf-8")
    path = os.path.relpath(folder, manifest.resolve().parent).replace(os.sep, "/")
    for start, end, new in sorted(_edits(manifest, text, draft, {"path": path, "sha256": sha256}), reverse=True):
        text = text[:start] + new + text[end:]
    partial = manifest.with_name(manifest.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(manifest)


def _edits(manifest: Path, text: str, draft: str, fields: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    """(start, end, what stands there instead) of every field; one that is not there follows the path."""
    entry = _entry(manifest, text, draft)
    known = {key.value: (key, value) for key, value in entry.value}
    if "path" not in known:
        raise PoolError(f"{manifest}: draft {draft!r} has no path")
    for name, value in fields.items():
        if name in known:
            yield known[name][1].start_mark.index, known[name][1].end_mark.index, _scalar(value)
        else:
            key, path = known["path"]
            between = ", " if entry.flow_style else "\n" + " " * key.start_mark.column
            yield path.end_mark.index, path.end_mark.index, f"{between}{name}: {_scalar(value)}"


def _entry(manifest: Path, text: str, draft: str) -> yaml.MappingNode:
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise PoolError(f"{manifest}: no valid YAML") from error
    fields = tree.value if isinstance(tree, yaml.MappingNode) else []
    drafts = next((value for key, value in fields if key.value == "drafts"), None)
    entries = drafts.value if isinstance(drafts, yaml.SequenceNode) else []
    for entry in entries:
        if isinstance(entry, yaml.MappingNode) and any(k.value == "id" and v.value == draft for k, v in entry.value):
            return entry
    raise PoolError(f"{manifest}: no draft {draft!r}")


def _scalar(value: str) -> str:
    """Plain where nothing in it could mean something else to YAML: a hash of digits alone would be a number."""
    return value if _PLAIN.fullmatch(value) else json.dumps(value)
