"""Options that several commands share, and the configuration that they make."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from specsched.config.load import Source
from specsched.config.tree import Config
from specsched.pool.manifest import default_manifest

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="specsched.yaml; the built-in default when left out.")
]
PoolOption = Annotated[
    Path | None, typer.Option("--pool", help="Manifest of a pool; the reference pool when left out.")
]
ListenOption = Annotated[str | None, typer.Option("--listen", help="host:port or unix:PATH.")]
AddressOption = Annotated[
    str | None, typer.Option("--address", help="A running server; without one the engine runs here.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LogOption = Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error.")]


def configuration(
    config: Path | None, *, pool: Path | None = None, address: str | None = None, log_level: str | None = None
) -> Config:
    """File, then environment, then options."""
    return source(config, pool=pool, address=address, log_level=log_level).read()


def source(
    config: Path | None, *, pool: Path | None = None, address: str | None = None, log_level: str | None = None
) -> Source:
    """Where a command's configuration comes from, to be read more than once."""
    overrides: dict[tuple[str, str], Any] = {
        ("pool", "manifest"): str(pool) if pool else None,
        ("server", "address"): address,
        ("log", "level"): log_level,
    }
    return Source(config, dict(os.environ), overrides)


def manifest_of(config: Config) -> Path:
    """Return the manifest that a configuration names."""
    return Path(config.pool.manifest) if config.pool.manifest else default_manifest()
