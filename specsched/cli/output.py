"""What every command shares: tables, JSON, and errors of one line."""

import functools
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

import typer
from rich.console import Console
from rich.table import Table

from specsched.errors import SpecschedError

P = ParamSpec("P")

PIPED_WIDTH = 140
"""Columns of a table that nobody sees on a terminal."""

_SMALL, _LARGE = 0.01, 100
"""Numbers below it show two digits, not three places (seconds of a decision); from there on one place is enough."""

console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
errors = Console(stderr=True)


def one_line_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Print what we raise on purpose as one line and exit with 2."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except SpecschedError as error:
            errors.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(2) from error

    return guarded


def print_json(value: Any) -> None:
    """Print JSON that another program can read."""
    typer.echo(json.dumps(value, indent=1))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers stand on the right."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        numeric = any(isinstance(row[index], int | float) for row in rows)
        least = max((len(_cell(row[0])) for row in rows), default=0) if index == 0 else None  # names stay whole
        table.add_column(column, justify="right" if numeric else "left", min_width=least)
    for row in rows:
        table.add_row(*map(_cell, row))
    console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if not isinstance(value, float):
        return str(value)
    if 0 < abs(value) < _SMALL:
        return f"{value:.2g}"
    return f"{value:.3f}" if abs(value) < _LARGE else f"{value:.1f}"
