"""`specsched demo`: the service at work on prompts of every class."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.options import PoolOption
from specsched.cli.output import console, one_line_errors, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specsched.bench.demo import Pair


@one_line_errors
def demo(
    pool: PoolOption = None,
    prompts: Annotated[int, typer.Option(min=1, help="Prompts per class.")] = 4,
    max_tokens: Annotated[int, typer.Option(min=2, help="Longest completion, in tokens.")] = 96,
) -> None:
    """Start the service, send prompts of every class, and show what was chosen and what it brought."""
    pairs = asyncio.run(_demo(["--pool", str(pool)] if pool else [], prompts, max_tokens))
    _summary(pairs)


async def _demo(arguments: list[str], prompts: int, max_tokens: int) -> "list[Pair]":
    from specsched.bench.demo import run_pairs
    from specsched.bench.served import ServedProcess
    from specsched.client import Client

    with console.status("starting the service: loading models, measuring what rounds cost") as status:
        async with ServedProcess(arguments) as service, Client(service.address) as client:
            status.stop()
            console.print(f"serving on {service.address}", highlight=False)
            pairs: list[Pair] = []
            async for pair in run_pairs(client, prompts, max_tokens):
                _show(pair, first=pair.prompt.prompt_class not in {p.prompt.prompt_class for p in pairs})
                pairs.append(pair)
            return pairs


def _show(pair: "Pair", *, first: bool) -> None:
    """A line per prompt; with the first of a class, its text."""
    adaptive = pair.adaptive
    console.print(
        f"[bold]{pair.prompt.id}[/bold]  read as {adaptive.decision.prompt_class}, "
        f"draft {adaptive.decision.plan.draft_model}, γ {adaptive.decision.plan.gamma}, "
        f"{pair.speedup:.2f} × plain, {'same tokens' if pair.same else '[red]other tokens than plain decoding'}",
        highlight=False,
    )
    if first:
        console.print(f"  {_short(pair.prompt.prompt)}", style="cyan", highlight=False, markup=False)
        console.print(f"  {_short(adaptive.text)}\n", style="dim", highlight=False, markup=False)


def _summary(pairs: "Sequence[Pair]") -> None:
    from specsched.bench.demo import summarise

    columns = ("class", "read as", "draft", "γ", "acceptance length", "tokens/s", "× plain")
    rows = [
        (r.prompt_class, r.read_as, r.draft_model, r.gamma, r.acceptance_length, r.tokens_per_second, r.speedup)
        for r in summarise(pairs)
    ]
    print_table("What the service chose, and what it brought", columns, rows)
    same = sum(pair.same for pair in pairs)
    console.print(
        f"{same} of {len(pairs)} completions are token for token those of plain decoding, run in turn with them.\n"
        "The policy began with its pool's priors, if any: the first prompts pay for what the later ones gain.",
        highlight=False,
    )


def _short(text: str, width: int = 200) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
