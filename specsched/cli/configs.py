"""`specsched config …`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from specsched.cli.access import TokenOption, read_text
from specsched.cli.operating import ADMIN_ADDRESS, AdminOption, ask
from specsched.cli.options import JsonOption
from specsched.cli.output import console, one_line_errors, print_json, print_table
from specsched.config.changes import Change

app = typer.Typer(no_args_is_help=True, help="Check configurations, and change a running service's.")


@app.command()
@one_line_errors
def check(
    file: Annotated[Path, typer.Argument(help="specsched.yaml.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole configuration as JSON.")] = False,
) -> None:
    """Check a configuration and the pool that it names, as the service would at start; exits 2 on the first error."""
    from specsched.cli.options import configuration, manifest_of
    from specsched.cli.security import security_of
    from specsched.cli.wiring import make_classifier, make_snapshot
    from specsched.pool.manifest import load_pool

    config = configuration(file)
    security_of(config)
    pool = load_pool(manifest_of(config))
    make_snapshot(config, pool, make_classifier(config, pool).classes)
    if as_json:
        print_json(config.model_dump(mode="json"))
    else:
        console.print(f"{file}: valid (sha {config.sha}), target {pool.target.id}, {len(pool.drafts)} drafts")


@app.command()
@one_line_errors
def show(address: AdminOption = ADMIN_ADDRESS, token_file: TokenOption = None) -> None:
    """Print the configuration that a service runs under, as YAML; secrets are left out."""
    typer.echo(ask(address, token_file, lambda client: client.config()).yaml, nl=False)


@app.command()
@one_line_errors
def history(
    address: AdminOption = ADMIN_ADDRESS, token_file: TokenOption = None, *, as_json: JsonOption = False
) -> None:
    """Show the last configurations that were in force, the present one first."""
    versions = ask(address, token_file, lambda client: client.config()).history
    if as_json:
        print_json([dataclasses.asdict(version) for version in versions])
        return
    rows = [(version.config_sha, version.origin, round(version.age_seconds)) for version in versions]
    print_table("Configurations in force", ("sha", "came from", "seconds ago"), rows)


@app.command()
@one_line_errors
def reload(
    file: Annotated[Path | None, typer.Argument(help="Taken in its file's place; left out: its file, again.")] = None,
    address: AdminOption = ADMIN_ADDRESS,
    token_file: TokenOption = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, or what is wrong.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Have a running service take a new configuration, as a whole or not at all."""
    text = None if file is None else read_text(file)
    changes = ask(address, token_file, lambda client: client.reload_config(text, validate_only=dry_run))
    _tell("Would change" if dry_run else "Changed", changes, as_json=as_json)


@app.command()
@one_line_errors
def rollback(
    sha: Annotated[str | None, typer.Argument(help="Of `config history`; left out: the one before.")] = None,
    address: AdminOption = ADMIN_ADDRESS,
    token_file: TokenOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Have a running service go back to a configuration that was in force."""
    _tell("Changed", ask(address, token_file, lambda client: client.rollback_config(sha)), as_json=as_json)


def _tell(title: str, changes: Sequence[Change], *, as_json: bool) -> None:
    rows = [(change.field, change.before, change.after) for change in changes]
    if as_json:
        print_json([dict(zip(("field", "before", "after"), row, strict=True)) for row in rows])
    elif rows:
        print_table(title, ("field", "before", "after"), rows)
    else:
        console.print("nothing differs", highlight=False)
