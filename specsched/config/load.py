"""YAML → the frozen tree. Environment overrides the file, arguments override both."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from specsched.config.sections.base import Section
from specsched.config.tree import Config
from specsched.errors import ConfigError

ENV_PREFIX = "SPECSCHED__"

_UNREADABLE = (yaml.YAMLError, ValueError, RecursionError)  # ValueError: the 99th of December

Overrides = Mapping[tuple[str, str], Any]
"""(section, field) → value."""


def load_config(path: Path | None, env: Mapping[str, str], overrides: Overrides | None = None) -> Config:
    """Read a configuration.

    Args:
        path: YAML file; None takes the built-in default.
        env: Variables `SPECSCHED__SECTION__FIELD`, values in YAML; empty ones are left out.
        overrides: From the command line; None values are left out.

    Raises:
        ConfigError: one line with file, line and field for every violation.
    """
    text = _read(path)
    tree = _parse(path, text)
    _anchor(tree, path)
    given = {
        **{key: (f"environment variable {name}: ", value) for name, key, value in _from_env(env) if value is not None},
        **{key: ("", value) for key, value in (overrides or {}).items() if value is not None},
    }
    for (section, field), (_, value) in given.items():
        fields = tree.setdefault(section, {})
        if isinstance(fields, dict):
            fields[field] = value
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(path, text, {key: place for key, (place, _) in given.items()}, error)) from error


def _read(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: no UTF-8 text") from error


def _parse(path: Path | None, text: str) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(text)
    except _UNREADABLE as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(f"{path}{f':{mark.line + 1}' if mark else ''}: no valid YAML") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected sections such as `server:` and `policy:`")
    return {
        section: dict(fields or {}) if isinstance(fields, dict | None) else fields for section, fields in tree.items()
    }


_PATHS = (
    ("pool", "manifest"),
    ("store", "path"),
    ("telemetry", "jsonl", "directory"),
    ("telemetry", "parquet", "directory"),
)


def _anchor(tree: dict[str, Any], path: Path | None) -> None:
    """A relative path in a file is relative to that file."""
    for *sections, field in _PATHS:
        fields: Any = tree
        for section in sections:
            fields = fields.get(section) if isinstance(fields, dict) else None
        if path is not None and isinstance(fields, dict) and isinstance(given := fields.get(field), str):
            fields[field] = str(path.resolve().parent / given)


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


def _explain(path: Path | None, text: str, places: Mapping[tuple[str, str], str], error: ValidationError) -> str:
    """One line: every violation with its place and its field. `places` of values that are not from the file."""
    root = yaml.compose(text) if text else None
    parts = []
    for violation in error.errors(include_url=False):
        loc = violation["loc"]
        line = _line_of(root, loc)
        place = f"{path}:{line}: " if path and line else f"{path}: " if path else ""
        elsewhere = [at for key, at in places.items() if key == loc[:2] or (not line and key[:1] == loc)]
        parts.append(f"{elsewhere[0] if elsewhere else place}{'.'.join(map(str, loc))}: {_said(violation)}")
    return "; ".join(parts)


def _said(violation: ErrorDetails) -> str:
    """What is wrong, in an operator's words: an unknown key is told with the known one that is nearest."""
    if violation["type"] != "extra_forbidden":
        return violation["msg"]
    section, name = violation["loc"][:-1], str(violation["loc"][-1])
    known = Config.model_fields
    for part in section:
        annotation = known[str(part)].annotation
        known = annotation.model_fields if isinstance(annotation, type) and issubclass(annotation, Section) else {}
    near = get_close_matches(name, known, n=1)
    return f"unknown key, did you mean {near[0]}?" if near else f"unknown key, known are {', '.join(known)}"


def _line_of(node: yaml.Node | None, loc: tuple[int | str, ...]) -> int | None:
    """Find the line of the deepest part of a path that stands in the file."""
    line = None
    for part in loc:
        if not isinstance(node, yaml.MappingNode):
            break
        entry = next(((key, value) for key, value in node.value if key.value == str(part)), None)
        if entry is None:
            break
        line, node = entry[0].start_mark.line + 1, entry[1]
    return line
