"""YAML → the frozen tree. Environment overrides the file, arguments override both."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from specsched.config.explain import Key, explained
from specsched.config.tree import Config
from specsched.errors import ConfigError

ENV_PREFIX = "SPECSCHED__"

_UNREADABLE = (yaml.YAMLError, ValueError, RecursionError)  # ValueError: the 99th of December

Overrides = Mapping[Key, Any]
"""(section, field) → value."""

GIVEN = "given"
"""Stands for the file's name where a text was handed over."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a service's configuration comes from, to be read more than once."""

    path: Path | None
    env: Mapping[str, str]
    overrides: Overrides

    def read(self, text: str | None = None) -> Config:
        """Read it now; `text` stands in for the file's. Raises as `load_config` does."""
        return load_config(self.path, self.env, self.overrides, text)


def load_config(
    path: Path | None, env: Mapping[str, str], overrides: Overrides | None = None, text: str | None = None
) -> Config:
    """Read a configuration.

    Args:
        path: YAML file; None takes the built-in default.
        env: Variables `SPECSCHED__SECTION__FIELD`, values in YAML; empty ones are left out.
        overrides: From the command line; None values are left out.
        text: Instead of the file's; relative paths in it start where those of the file do.

    Raises:
        ConfigError: one line with file, line and field for every violation.
    """
    name = GIVEN if text is not None else str(path or "")
    text = _read(path) if text is None else text
    tree = _parse(name, text)
    _anchor(tree, path)
    given = {
        **{
            key: (f"environment variable {variable}", value)
            for variable, key, value in _from_env(env)
            if value is not None
        },
        **{key: ("", value) for key, value in (overrides or {}).items() if value is not None},
    }
    for (section, field), (_, value) in given.items():
        fields = tree.setdefault(section, {})
        if isinstance(fields, dict):
            fields[field] = value
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise explained(name, text, {key: place for key, (place, _) in given.items()}, error) from error


def _read(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: no UTF-8 text") from error


def _parse(name: str, text: str) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(text)
    except _UNREADABLE as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(f"{name}{f':{mark.line + 1}' if mark else ''}: no valid YAML") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{name}: expected sections such as `server:` and `policy:`")
    return {
        section: dict(fields or {}) if isinstance(fields, dict | None) else fields for section, fields in tree.items()
    }


_PATHS = (
    ("pool", "manifest"),
    ("store", "path"),
    ("server", "tokens_file"),
    ("admin", "audit_file"),
    *((section, f"tls_{name}_file") for section in ("server", "workers") for name in ("certificate", "key", "ca")),
    ("telemetry", "jsonl", "directory"),
    ("telemetry", "parquet", "directory"),
    ("telemetry", "capture", "directory"),
)


def _anchor(tree: dict[str, Any], path: Path | None) -> None:
    """A relative path in a file is relative to that file's folder, also where the file is a link that moves."""
    for *sections, field in _PATHS:
        fields: Any = tree
        for section in sections:
            fields = fields.get(section) if isinstance(fields, dict) else None
        if path is not None and isinstance(fields, dict) and isinstance(given := fields.get(field), str):
            fields[field] = str(path.parent.resolve() / given)


def _from_env(env: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str], Any]]:
    """Yield each variable's name, the section and field it sets, and the value."""
    for name, value in env.items():
        if name.startswith(ENV_PREFIX):
            section, _, field = name.removeprefix(ENV_PREFIX).lower().partition("__")
            if not field:
                raise ConfigError(f"environment variable {name}: expected {ENV_PREFIX}SECTION__FIELD")
            try:
                yield name, (section, field), yaml.safe_load(value)
            except _UNREADABLE as error:
                raise ConfigError(f"environment variable {name}: no valid YAML") from error
