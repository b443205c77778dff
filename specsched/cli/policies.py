"""`specsched policy …`: what the policy has learnt."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from specsched.cli.access import TokenOption, read_text
from specsched.cli.operating import ADMIN_ADDRESS, AdminOption, ask
from specsched.cli.options import JsonOption
from specsched.cli.output import console, one_line_errors, print_json, print_table
from specsched.errors import SetupError
from specsched.policy.table import ArmCell

app = typer.Typer(no_args_is_help=True, help="Show, keep and forget what the policy has learnt.")


@app.command()
@one_line_errors
def show(address: AdminOption = ADMIN_ADDRESS, token_file: TokenOption = None, *, as_json: JsonOption = False) -> None:
    """Show every arm that was seen: class × draft, with what is believed of it."""
    table = ask(address, token_file, lambda client: client.policy())
    if as_json:
        print_json(dataclasses.asdict(table))
        return
    columns = ("class", "draft", "mode", "rounds", "acceptance by position", "tokens/s", "traffic")
    title = f"Policy {table.policy}, version {table.policy_version}"
    print_table(title, columns, [_row(cell) for cell in table.cells])


@app.command()
@one_line_errors
def export(
    file: Annotated[Path | None, typer.Argument(help="Where to write; standard output when left out.")] = None,
    address: AdminOption = ADMIN_ADDRESS,
    token_file: TokenOption = None,
) -> None:
    """Write all evidence as JSON."""
    text = ask(address, token_file, lambda client: client.export_policy())
    if file is None:
        typer.echo(text)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"{file}: {error.strerror or error}") from error


@app.command("import")
@one_line_errors
def import_(
    file: Annotated[Path, typer.Argument(help="What `policy export` wrote.")],
    address: AdminOption = ADMIN_ADDRESS,
    token_file: TokenOption = None,
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Forget what is known; else the evidence adds up.")
    ] = False,
) -> None:
    """Take evidence up."""
    text = read_text(file)
    cells = ask(address, token_file, lambda client: client.import_policy(text, replace=replace))
    console.print(f"{cells} cells taken up", highlight=False)


@app.command()
@one_line_errors
def reset(
    prompt_class: Annotated[str | None, typer.Option("--class", help="Only this class.")] = None,
    draft: Annotated[str | None, typer.Option("--draft", help="Only this draft.")] = None,
    address: AdminOption = ADMIN_ADDRESS,
    token_file: TokenOption = None,
) -> None:
    """Forget what was learnt, all of it or of one class or draft."""
    question = lambda client: client.reset_policy(prompt_class=prompt_class, draft_model=draft)  # noqa: E731
    console.print(f"{ask(address, token_file, question)} cells forgotten", highlight=False)


def _row(cell: ArmCell) -> tuple[object, ...]:
    hazards = " ".join(f"{beta.mean:.2f}" for beta in cell.hazards) or None
    speed = round(cell.goodput_tokens_per_second, 1) if cell.hazards else None
    share = f"{cell.traffic_share:.0%}"
    return cell.prompt_class, cell.draft_model, cell.mode, round(cell.rounds), hazards, speed, share
