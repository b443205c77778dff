"""A pool held against its target before anything is served: vocabulary, context, dtype, memory, licence."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specsched.classify.linear import LinearClassifier
from specsched.errors import PoolError
from specsched.pool.compatibility import check_vocabulary
from specsched.pool.manifest import ClassifierSpec, ModelSpec, Pool
from specsched.pool.weights import CONFIG_FILE, verify_weights

CARD = "README.md"
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found out about one model."""

    model: str
    field: str
    value: str
    problem: str = ""
    """Empty where all is well."""


def check_pool(pool: Pool) -> list[Finding]:
    """Every finding, the target's first. Problems are findings, not exceptions: one run names them all."""
    context = _context(pool.target)
    findings = _check_model(pool.target)
    for draft in pool.drafts:
        if draft.kind != "model":
            findings.append(Finding(draft.id, "kind", draft.kind))
            continue
        findings += _check_model(draft)
        findings += _check_against(draft, pool.target, context)
    if pool.classifier is not None:
        findings.append(_check_classifier(pool.classifier))
    return findings


def _check_classifier(spec: ClassifierSpec) -> Finding:
    try:
        version = LinearClassifier.load(spec.path, spec.sha256).version
    except PoolError as error:
        return Finding("classifier", "weights", "", str(error))
    return Finding("classifier", "weights", f"{version} ({_verified(spec.sha256)})")


def _verified(sha256: str | None) -> str:
    return "no hash in the manifest" if sha256 is None else "verified"


def _check_model(spec: ModelSpec) -> list[Finding]:
    try:
        weights = verify_weights(spec)
    except PoolError as error:
        return [Finding(spec.id, "weights", "", str(error))]
    memory = weights.parameters * _BYTES[spec.dtype]
    return [
        Finding(spec.id, "weights", f"{weights.version} ({_verified(spec.sha256)})"),
        Finding(spec.id, "parameters", f"{weights.parameters:,}"),
        Finding(spec.id, "dtype", f"{'/'.join(weights.dtypes)} on disk, {spec.dtype} in memory"),
        Finding(spec.id, "memory", f"{memory / 2**20:.1f} MiB, {weights.bytes / 2**20:.1f} MiB on disk"),
        Finding(spec.id, "context", f"{_context(spec):,} tokens"),
        _check_licence(spec),
    ]


def _check_against(draft: ModelSpec, target: ModelSpec, context: int) -> list[Finding]:
    assert draft.path is not None, "draft models have a path"
    assert target.path is not None, "targets have a path"
    try:
        check_vocabulary(target.path, draft.path)
        vocabulary = Finding(draft.id, "vocabulary", "the target's")
    except PoolError as error:
        vocabulary = Finding(draft.id, "vocabulary", "", str(error))
    short = _context(draft)
    problem = f"{short} tokens of context, the target has {context}" if short < context else ""
    return [vocabulary, Finding(draft.id, "context against target", "enough" if not problem else "short", problem)]


def _check_licence(spec: ModelSpec) -> Finding:
    """The `license:` field in the front matter of the model's card."""
    card = (spec.path or Path()) / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    found = re.search(r"\A---\n.*?^license:\s*(\S+)", text, re.DOTALL | re.MULTILINE)
    if found:
        return Finding(spec.id, "licence", found[1])
    return Finding(spec.id, "licence", "not stated", f"no `license:` in the front matter of {card}")


def _context(spec: ModelSpec) -> int:
    try:
        config: Any = json.loads(((spec.path or Path()) / CONFIG_FILE).read_text(encoding="utf-8"))
        return int(config.get("max_position_embeddings") or config.get("n_positions") or 0)
    except (OSError, ValueError, AttributeError):
        return 0  # the weights' check names the file
