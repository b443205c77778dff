"""`specsched drafts …` and `specsched speculation`: which drafts rounds may use."""

import dataclasses
from enum import StrEnum
from typing import Annotated

import typer

from specsched.cli.access import TokenOption
from specsched.cli.operating import ADMIN_ADDRESS, AdminOption, ask
from specsched.cli.options import JsonOption
from specsched.cli.output import console, one_line_errors, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="The drafts of a running service.")

DraftArgument = Annotated[str, typer.Argument(help="The draft's id.")]


class State(StrEnum):
    """What a draft can be made."""

    ACTIVE = "active"
    DRAINING = "draining"
    DISABLED = "disabled"


class Switch(StrEnum):
    """Positions of the switch."""

    ON = "on"
    OFF = "off"


@app.command("list")
@one_line_errors
def list_(address: AdminOption = ADMIN_ADDRESS, token_file: TokenOption = None, *, as_json: JsonOption = False) -> None:
    """Show the drafts, their memory and whether they may be used."""
    found = ask(address, token_file, lambda client: client.drafts())
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    rows = [(d.id, d.kind, d.state, d.residency, d.memory_bytes, d.parameters, d.version[:12]) for d in found.drafts]
    title = "Drafts" if found.speculation_enabled else "Drafts (speculation is switched off for all)"
    print_table(title, ("draft", "kind", "state", "memory", "bytes", "parameters", "version"), rows)


@app.command("set-state")
@one_line_errors
def set_state(
    draft: DraftArgument,
    state: Annotated[State, typer.Argument(help="draining: running requests keep it; disabled: no round uses it.")],
    address: AdminOption = ADMIN_ADDRESS,
    token_file: TokenOption = None,
) -> None:
    """Let a draft be used, or not, on every worker from its next round on."""
    ask(address, token_file, lambda client: client.set_draft_state(draft, state.value))
    console.print(f"{draft} is {state.value}", highlight=False)


@app.command()
@one_line_errors
def load(draft: DraftArgument, address: AdminOption = ADMIN_ADDRESS, token_file: TokenOption = None) -> None:
    """Load a draft of the manifest into the workers, beside what runs."""
    ask(address, token_file, lambda client: client.load_draft(draft))
    console.print(f"{draft} is loaded", highlight=False)


@app.command()
@one_line_errors
def unload(draft: DraftArgument, address: AdminOption = ADMIN_ADDRESS, token_file: TokenOption = None) -> None:
    """Free a draft's memory in the workers."""
    ask(address, token_file, lambda client: client.unload_draft(draft))
    console.print(f"{draft} is unloaded", highlight=False)


@one_line_errors
def speculation(
    switch: Annotated[Switch, typer.Argument(help="off: plain decoding for all from the next round on.")],
    address: AdminOption = ADMIN_ADDRESS,
    token_file: TokenOption = None,
) -> None:
    """Switch speculation off for everybody, running requests included, or on again."""
    ask(address, token_file, lambda client: client.set_speculation(enabled=switch is Switch.ON))
    console.print(f"speculation is {switch.value}", highlight=False)
