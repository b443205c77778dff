"""`specsched`: every command by its name."""

import os
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from specsched.cli import (
    classify,
    configs,
    decide,
    demo,
    drafts,
    generate,
    models,
    policies,
    replay,
    serve,
    simulate,
    top,
)
from specsched.cli.bench import app as bench

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Adaptive scheduler for speculative decoding: the target's exact output, sooner.",
)
app.command()(serve.serve)
app.command()(serve.worker)
app.command()(generate.generate)
app.command()(decide.decide)
app.command()(demo.demo)
app.command()(top.top)
app.command()(simulate.simulate)
app.command()(drafts.speculation)
app.add_typer(configs.app, name="config")
app.add_typer(policies.app, name="policy")
app.add_typer(drafts.app, name="drafts")
app.add_typer(models.app, name="models")
app.add_typer(replay.app, name="replay")
app.add_typer(classify.app, name="classify")
app.add_typer(bench.app, name="bench")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"specsched {installed_version('specsched')}")
        raise typer.Exit


@app.callback()
def main(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Adaptive scheduler for speculative decoding: the target's exact output, sooner."""


def run() -> None:
    """Run the command line."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # its core writes to standard error past every logger
    app()
