"""Packages that only some deployments need: asked for where they are used, missed in one line."""

from importlib import import_module
from typing import Any

from specsched.errors import ConfigError


def require(module: str, field: str) -> Any:
    """Import a module of the `telemetry` extra.

    Args:
        module: Its full name.
        field: Of the configuration that asks for it.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{field}: needs {error.name}; install specsched[telemetry]") from error
