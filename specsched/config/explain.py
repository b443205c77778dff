"""From pydantic's violations to an operator's words: file, line, field, and what is wrong."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from specsched.config.sections.base import Section
from specsched.config.tree import Config
from specsched.errors import ConfigError, Violation

Key = tuple[str, str]
"""(section, field)."""


def explained(name: str, text: str, places: Mapping[Key, str], error: ValidationError) -> ConfigError:
    """One error with every violation, each with its place and its field.

    Args:
        name: Of the file, for its lines; empty without one.
        text: Of the file.
        places: Of values that are not from the file.
        error: What pydantic found.
    """
    root = yaml.compose(text) if text else None
    violations, lines = [], []
    for place, field, said in _told(name, root, places, error):
        violations.append(Violation(field, f"{said} ({place})" if place else said))
        lines.append(f"{place}: {field}: {said}" if place else f"{field}: {said}")
    return ConfigError("; ".join(lines), violations)


def _told(
    name: str, root: yaml.Node | None, places: Mapping[Key, str], error: ValidationError
) -> Iterator[tuple[str, str, str]]:
    for violation in error.errors(include_url=False):
        loc = violation["loc"]
        line = _line_of(root, loc)
        place = f"{name}:{line}" if name and line else name
        elsewhere = [at for key, at in places.items() if key == loc[:2] or (not line and key[:1] == loc)]
        yield (elsewhere[0] if elsewhere else place), ".".join(map(str, loc)), _said(violation)


def _said(violation: ErrorDetails) -> str:
    """What is wrong, in an operator's words: an unknown key is told with the known one that is nearest."""
    if violation["type"] != "extra_forbidden":
        return violation["msg"]
    section, name = violation["loc"][:-1], str(violation["loc"][-1])
    known = Config.model_fields
    for part in section:
        annotation = known[str(part)].annotation if str(part) in known else None
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
