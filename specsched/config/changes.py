"""What differs between two configurations, and which of it takes effect without a restart."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from specsched.config.sections.base import Section
from specsched.config.tree import Config

_HIDDEN = "(secret)"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs; the values are YAML, a secret's are not told."""

    field: str
    """Its path, `policy.kind` for example."""
    before: str
    after: str
    live: bool = True
    """Whether it takes effect without a restart."""


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    """A configuration that is, or was, in force."""

    config_sha: str
    origin: str
    """start · file · call · rollback"""
    age_seconds: float
    """Since it was put in force."""


def changes(before: Config, after: Config) -> tuple[Change, ...]:
    """Every field that differs, in the order of the tree."""
    return tuple(_changes(before, after, "", {}))


def shown(config: Config) -> dict[str, Any]:
    """A configuration as plain values, secrets left out."""
    return _shown(config, {})


def as_yaml(value: Any) -> str:
    """One line of YAML."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def as_yaml_lines(tree: dict[str, Any]) -> str:
    """A tree as a file holds it."""
    text: str = yaml.safe_dump(tree, default_flow_style=False, sort_keys=False, allow_unicode=True)
    return text


def _changes(before: Section, after: Section, path: str, inherited: dict[str, Any]) -> Iterator[Change]:
    for name, field in type(before).model_fields.items():
        old, new = getattr(before, name), getattr(after, name)
        marks = _marks(field, inherited)
        if old == new:
            continue
        if isinstance(old, Section) and isinstance(new, Section):
            yield from _changes(old, new, f"{path}{name}.", marks)
        else:
            was, is_now = (_HIDDEN if marks.get("secret") else as_yaml(_plain(each, name)) for each in (before, after))
            yield Change(f"{path}{name}", was, is_now, marks.get("reload") == "live")


def _shown(section: Section, inherited: dict[str, Any]) -> dict[str, Any]:
    values = {}
    for name, field in type(section).model_fields.items():
        marks, value = _marks(field, inherited), getattr(section, name)
        if isinstance(value, Section):
            values[name] = _shown(value, marks)
        elif not marks.get("secret"):
            values[name] = _plain(section, name)
    return values


def _marks(field: FieldInfo, inherited: dict[str, Any]) -> dict[str, Any]:
    """What a field says of itself goes before what its section says."""
    own = field.json_schema_extra
    return {**inherited, **(own if isinstance(own, dict) else {})}


def _plain(section: Section, name: str) -> Any:
    """A field's value in YAML's types."""
    return section.model_dump(mode="json", include={name})[name]
