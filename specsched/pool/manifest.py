"""The manifest: which target, which drafts, which classifier, and where they lie."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from specsched.config.pool import DraftEntry, PoolManifest, TargetEntry, parse_manifest
from specsched.errors import PoolError

_REFERENCE = Path("models", "reference", "pool.yaml")
_MANNERS = ("dtype", "quantization", "copy_match_tokens", "stop_below_share")
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One entry of the pool."""

    id: str
    kind: str
    """model · ngram · none"""
    path: Path | None
    """Model folder; only of kind `model`."""
    dtype: str = "float32"
    """Compute dtype."""
    quantization: str = "none"
    sha256: str | None = None
    """Of model.safetensors; verified at load when given."""
    copy_match_tokens: int = 0
    """Drafts: where the last so many tokens stood before, what followed is copied; 0 never copies."""
    stop_below_share: float = 0.0
    """Drafts: nothing more is drafted once the product of its laws' largest probabilities is less; 0 never stops."""

    @property
    def manner(self) -> str:
        """What else than its weights makes its drafts, as part of its version; empty where nothing does."""
        said = ((field, getattr(self, field.name)) for field in fields(self) if field.name in _MANNERS)
        return "".join(f"+{field.name}={value}" for field, value in said if value != field.default)

    @property
    def single(self) -> bool:
        """Whether one proposer drafts all that it is asked for: what teacher forcing can measure."""
        return not self.copy_match_tokens and not self.stop_below_share


@dataclass(frozen=True, slots=True)
class ClassifierSpec:
    """The pool's classifier."""

    path: Path
    sha256: str | None = None
    """Of the file; verified at load when given."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A manifest, read. Plain decoding ("none") is always available, listed or not."""

    manifest: Path
    target: ModelSpec
    drafts: tuple[ModelSpec, ...]
    classifier: ClassifierSpec | None
    priors: Path | None = None
    """File of what a cold start believes of the drafts."""


def load_pool(manifest: Path) -> Pool:
    """Read a manifest. Touches no weights (see `weights.verify_weights`).

    Raises:
        PoolError: unreadable file, no YAML, or a wrong field, which is named.
    """
    tree = _parse(manifest)
    base = manifest.resolve().parent
    return Pool(
        manifest=manifest,
        target=_spec(tree.target, "model", base),
        drafts=tuple(_spec(draft, draft.kind, base) for draft in tree.drafts),
        classifier=ClassifierSpec(base / tree.classifier.path, tree.classifier.sha256) if tree.classifier else None,
        priors=base / tree.priors if tree.priors else None,
    )


def reread(pool: Pool) -> Pool:
    """Read a pool's manifest again; the pool as it was where that is gone or broken."""
    try:
        return load_pool(pool.manifest)
    except PoolError:
        return pool


def default_manifest() -> Path:
    """The reference pool: beside the package in a checkout, else the copy that is packed with it."""
    for root in (_PACKAGE.parent, _PACKAGE):
        if (root / _REFERENCE).is_file():
            return root / _REFERENCE
    return _PACKAGE.parent / _REFERENCE


def _parse(manifest: Path) -> PoolManifest:
    try:
        tree: Any = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    except OSError as error:
        raise PoolError(f"{manifest}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PoolError(f"{manifest}: no UTF-8 text") from error
    except yaml.YAMLError as error:
        raise PoolError(f"{manifest}{_line(error)}: no valid YAML") from error
    if not isinstance(tree, dict):
        raise PoolError(f"{manifest}: expected a mapping with `target` and `drafts`")
    try:
        return parse_manifest(tree)
    except ValueError as error:
        raise PoolError(f"{manifest}: {error}") from error


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark else ""


def _spec(entry: TargetEntry | DraftEntry, kind: str, base: Path) -> ModelSpec:
    return ModelSpec(
        id=entry.id,
        kind=kind,
        path=base / entry.path if entry.path else None,
        dtype=entry.dtype,
        quantization=entry.quantization,
        sha256=entry.sha256,
        copy_match_tokens=entry.copy_match_tokens if isinstance(entry, DraftEntry) else 0,
        stop_below_share=entry.stop_below_share if isinstance(entry, DraftEntry) else 0.0,
    )
