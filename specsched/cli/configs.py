"""`specsched config …`."""

from pathlib import Path
from typing import Annotated

import typer

from specsched.cli.output import console, one_line_errors, print_json

app = typer.Typer(no_args_is_help=True, help="Check and show configurations.")


@app.callback()
def _group() -> None:
    """Keep `check` a command of its own while it is the only one."""


@app.command()
@one_line_errors
def check(
    file: Annotated[Path, typer.Argument(help="specsched.yaml.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole configuration as JSON.")] = False,
) -> None:
    """Check a configuration and the pool that it names, as the service would at start; exits 2 on the first error."""
    from specsched.cli.options import configuration, manifest_of
    from specsched.cli.wiring import make_classifier, make_snapshot
    from specsched.pool.manifest import load_pool

    config = configuration(file)
    pool = load_pool(manifest_of(config))
    make_snapshot(config, pool, make_classifier(config, pool).classes)
    if as_json:
        print_json(config.model_dump(mode="json"))
    else:
        console.print(f"{file}: valid (sha {config.sha}), target {pool.target.id}, {len(pool.drafts)} drafts")
