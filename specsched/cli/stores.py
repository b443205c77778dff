"""Where what is learnt is kept, and what makes it the same: identities of arms and of services."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from specsched.classify.base import Classifier
from specsched.config.tree import Config
from specsched.errors import ConfigError
from specsched.policy.exchange import cells_from_json
from specsched.policy.memory import Cell, NullStore, Store
from specsched.policy.priors import PriorStore
from specsched.policy.redis import RedisStore
from specsched.policy.sqlite import SqliteStore
from specsched.pool.manifest import Pool
from specsched.pool.weights import sha256_of


def make_store(config: Config, pool: Pool, classifier: Classifier) -> Store:
    """Build the store that the configuration names.

    Raises:
        ConfigError: one cannot write there, it is no URL, or priors cannot be read.
    """
    section = config.store
    if section.redis_url is not None:
        bounds = (*classifier.classes, *(config.policy.prompt_classes or ()), str(config.policy.max_gamma))
        return RedisStore(section.redis_url, _hash((*_of_target(pool), *bounds)), arm_versions(pool))
    store = SqliteStore(Path(section.path)) if section.path else NullStore()
    return PriorStore(store, _read(Path(section.priors_file)) if section.priors_file else _shipped(pool))


def _shipped(pool: Pool) -> Sequence[Cell]:
    """What the pool's own file says of its models as they are; of others it says nothing."""
    versions = arm_versions(pool)
    cells = _read(pool.priors) if pool.priors else ()
    return [cell for cell in cells if cell.draft_version == versions.get(cell.draft_model)]


def _read(file: Path) -> tuple[Cell, ...]:
    try:
        return cells_from_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"priors {file}: {error}") from error


def arm_versions(pool: Pool) -> Mapping[str, str]:
    """Draft → identity of its arms: what was learnt of it is worth nothing but a hint once any of this changes.

    The sampling bin is part of each cell's key.
    """
    return {draft.id: _hash((*_of_target(pool), (draft.sha256 or "") + draft.manner)) for draft in pool.drafts}


def _of_target(pool: Pool) -> tuple[str, ...]:
    named = pool.classifier
    classifier = (named.sha256 or sha256_of(named.path)) if named else ""
    return (pool.target.id, pool.target.sha256 or "", pool.target.quantization, classifier)


def _hash(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
