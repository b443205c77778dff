"""Learned state as JSON, for people, backups and other services."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from specsched.policy.memory import Cell

FORMAT = "specsched-policy"
VERSION = 1

_TYPES: dict[Any, tuple[type, ...]] = {bool: (bool,), int: (int,), float: (int, float), str: (str,)}


def cells_to_json(cells: Sequence[Cell]) -> str:
    """Write cells."""
    tree = {"format": FORMAT, "version": VERSION, "cells": [asdict(cell) for cell in cells]}
    return json.dumps(tree, indent=1)


def cells_from_json(text: str) -> tuple[Cell, ...]:
    """Read cells.

    Raises:
        ValueError: one line that names the first cell and field that is wrong.
    """
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("no JSON") from error
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise ValueError(f"no export of a policy: `format` is not {FORMAT!r}")
    if tree.get("version") != VERSION:
        raise ValueError(f"version {tree.get('version')!r} is not known here; {VERSION} is")
    cells = tree.get("cells")
    if not isinstance(cells, list):
        raise ValueError("cells: expected a list")  # noqa: TRY004 - the text is wrong, not the caller's types
    return tuple(_cell(f"cells[{index}]", entry) for index, entry in enumerate(cells))


def _cell(at: str, entry: Any) -> Cell:
    names = {field.name for field in fields(Cell)}
    if not isinstance(entry, dict) or set(entry) != names:
        raise ValueError(f"{at}: expected the fields {', '.join(sorted(names))}")
    for field in fields(Cell):
        value = entry[field.name]
        flag_as_number = isinstance(value, bool) and field.type is not bool
        if flag_as_number or not isinstance(value, _TYPES[field.type]):
            raise ValueError(f"{at}.{field.name}: {value!r} is no {getattr(field.type, '__name__', field.type)}")
    cell = Cell(**entry)
    if cell.position < 1:
        raise ValueError(f"{at}.position: {cell.position} is below 1")
    for name, mass in (("accepted", cell.accepted), ("rejected", cell.rejected)):
        if not 0 <= mass < math.inf:
            raise ValueError(f"{at}.{name}: {mass} is no count")
    return cell
