"""Options that several commands share, and the configuration that they make."""

import dataclasses
import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

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


def spread(parameter: str, options: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Turn one parameter of a command into options, one per field of a dataclass, for several commands to share.

    Fields are annotated as a command's parameters are, and have defaults.
    """
    hints = get_type_hints(options, include_extras=True)
    fields = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name])
        for f in dataclasses.fields(options)
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        own = [each for name, each in signature.parameters.items() if name != parameter]

        @functools.wraps(command)
        def gathered(*args: Any, **kwargs: Any) -> None:
            taken = {field.name: kwargs.pop(field.name) for field in fields}
            command(*args, **kwargs, **{parameter: options(**taken)})

        every = [*own, *fields]
        gathered.__signature__ = signature.replace(parameters=every)  # type: ignore[attr-defined] # what typer reads
        gathered.__annotations__ = {each.name: each.annotation for each in every}
        return gathered

    return decorate


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
