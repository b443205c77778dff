"""What every benchmark shares: options, running, printing, the JSON file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.output import console, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from specsched.engine.load import Progress
    from specsched.modelkit.report import Check, Report, Value
    from specsched.pool.manifest import Pool

PromptsOption = Annotated[int, typer.Option(min=1, help="Prompts, spread over the classes.")]
TokensOption = Annotated[int, typer.Option(min=2, help="Longest completion, in tokens.")]
FileOption = Annotated[Path | None, typer.Option("--json", help="Write tables and checks to this file.")]

CHECK_COLUMNS = ("name", "value", "bar", "holds")


def run(name: str, measure: "Callable[[Progress], Report]", json_file: Path | None, command: str) -> "Report":
    """Measure, print the tables, and write the JSON, which names the command."""
    import json
    import time

    started = time.monotonic()
    console.print(f"[bold]{name}[/bold]")
    with console.status(name) as status:
        report = measure(status.update)
    for table in report.tables.values():
        print_table(table.title, table.columns, table.rows)
    console.print(f"{time.monotonic() - started:.0f} s", style="dim", highlight=False)
    if json_file:
        json_file.write_text(json.dumps(report.as_json(command), indent=1) + "\n", encoding="utf-8")
    return report


def members(pool: Path | None) -> "Pool":
    """Read the pool that is measured.

    Raises:
        PoolError: its manifest cannot be read.
    """
    from specsched.pool.manifest import default_manifest, load_pool

    return load_pool(pool or default_manifest())


def print_checks(checks: "Sequence[Check]") -> None:
    """Print the numbers that were asked for, beside their bars."""
    print_table("Checks", CHECK_COLUMNS, [check_row(check) for check in checks])


def check_row(check: "Check") -> "tuple[Value, ...]":
    """Return a check's `CHECK_COLUMNS`."""
    return check.name, check.value, check.bar, "yes" if check.holds else "[red]no"
