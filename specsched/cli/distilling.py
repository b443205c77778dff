"""`specsched models prompts`, `distill` and `merge`: how a draft comes about."""

from pathlib import Path
from typing import Annotated

import typer

from specsched.cli.data import own_prompts
from specsched.cli.options import JsonOption
from specsched.cli.output import console, one_line_errors, print_json, print_table
from specsched.cli.progress import TokenProgress
from specsched.cli.training import DeviceOption, SeedOption

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Prompts: a corpus, a folder of JSON lines, or a file.")
]
ClassesOption = Annotated[
    list[str] | None, typer.Option("--class", help="Prompt class; again for more. All by default.")
]


@one_line_errors
def mix_prompts(
    corpus: Annotated[Path, typer.Option(help="Folder of <class>/train.jsonl[.zst].")],
    labelled: Annotated[Path, typer.Option(help="Labelled prompts: JSON lines with prompt, category, source.")],
    out: Annotated[Path, typer.Option(help="Folder of the mixture.")],
    held_out: Annotated[
        list[str] | None, typer.Option("--hold-out", help="Source or subtype to measure on; again for more.")
    ] = None,
    seed: SeedOption = 0,
) -> None:
    """Mix prompts to distil on: a corpus, labelled prompts and own wordings, with sources and wordings held out."""
    from specsched.modelkit.mixture import Mixture, write_mixture

    counts = write_mixture(Mixture(corpus, labelled, frozenset(held_out or ()), seed=seed), out)
    print_table(str(out), ("class", "train", "valid"), [(name, *of_class) for name, of_class in counts.items()])


@one_line_errors
def distill(
    target: Annotated[Path, typer.Option(help="Model folder of the target, any causal language model.")],
    out: Annotated[Path, typer.Option(help="Folder of the new draft.")],
    *,
    data: DataOption = None,
    capture: Annotated[Path | None, typer.Option("--from-capture", help="Prompts from captured traffic.")] = None,
    classes: ClassesOption = None,
    others: Annotated[float, typer.Option(help="Share of lessons from the other classes, against forgetting.")] = 0.0,
    tokens: Annotated[int, typer.Option(help="Completion positions to learn from, repeats counted.")] = 500_000,
    rate: Annotated[float, typer.Option(help="Factor on the learning rates; below 1 with --from.")] = 1.0,
    prompts: Annotated[int, typer.Option(help="Prompts per class.")] = 500,
    answers: Annotated[
        int, typer.Option(help="Per class, completions of the corpus itself to learn on too: read, not generated.")
    ] = 0,
    max_new_tokens: Annotated[int, typer.Option(help="Longest completion.")] = 128,
    max_prompt_tokens: Annotated[int, typer.Option(help="Prompts that are longer are passed over.")] = 384,
    start: Annotated[Path | None, typer.Option("--from", help="Draft to go on from.")] = None,
    width: Annotated[int, typer.Option(help="Hidden size of a new draft.")] = 96,
    layers: Annotated[int, typer.Option(help="Layers of a new draft.")] = 1,
    mlp: Annotated[int, typer.Option(help="MLP width of a new draft.")] = 256,
    heads: Annotated[int, typer.Option(help="Attention heads of a new draft.")] = 2,
    objective: Annotated[
        str, typer.Option(help="auto, forward_kl, reverse_kl, total_variation or mixed; auto measures.")
    ] = "auto",
    cache: Annotated[Path | None, typer.Option(help="Keeps the target's text for the next draft of it.")] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Distil a draft for a target: it learns the target's law over the target's own completions.

    Run it again after a kill: it goes on where it was.
    """
    from specsched.modelkit.draft import DraftShape
    from specsched.modelkit.draft_job import DraftJob
    from specsched.modelkit.make_draft import make_draft

    job = DraftJob(
        target=target,
        out=out,
        prompts=capture or data or own_prompts(),
        classes=tuple(classes or ()),
        others=others,
        per_class=prompts,
        answers=answers,
        max_new_tokens=max_new_tokens,
        max_prompt_tokens=max_prompt_tokens,
        tokens=tokens,
        rate=rate,
        shape=DraftShape(width=width, layers=layers, mlp=mlp, heads=heads),
        start=start,
        objective=objective,
        cache=cache,
        seed=seed,
        device=device,
    )
    with TokenProgress("distilling", tokens) as progress:
        acceptance = make_draft(job, progress.distilling, progress.say)
    rows = [(category, temperature, value) for (category, temperature), value in acceptance.items()]
    if as_json:
        print_json([{"class": c, "temperature": t, "acceptance": a} for c, t, a in rows])
    else:
        print_table(f"Acceptance on held-out prompts: {out}", ("class", "temperature", "acceptance"), rows)


@one_line_errors
def merge_models(
    start: Annotated[Path, typer.Option("--from", help="Model folder to begin with.")],
    plus: Annotated[Path, typer.Option(help="Model that learnt something ...")],
    minus: Annotated[Path, typer.Option(help="... beyond this one.")],
    out: Annotated[Path, typer.Option(help="Folder of the merged model, for `models distill --from`.")],
    scale: Annotated[float, typer.Option(help="How much of the difference is added.")] = 0.5,
) -> None:
    """Add to a model part of what another one learnt beyond a third: a start for a specialist."""
    from specsched.modelkit.merge import Merge, merge

    merge(Merge(start, plus, minus, scale, out))
    console.print(f"model in {out}")
