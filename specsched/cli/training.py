"""`specsched models train` and `unloop`: how a target comes about."""

from pathlib import Path
from typing import Annotated

import typer

from specsched.cli.output import console, one_line_errors
from specsched.cli.progress import TokenProgress

SeedOption = Annotated[int, typer.Option(help="Equal seeds give equal weights on a CPU.")]
DeviceOption = Annotated[str, typer.Option(help="cpu or cuda.")]


@one_line_errors
def train(
    corpus: Annotated[Path, typer.Option(help="Folder of <class>/train.jsonl[.zst] and valid.jsonl[.zst].")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, log, loss curve and the model.")],
    tokens: Annotated[int, typer.Option(help="Token budget; the learning rate's schedule ends with it.")],
    start: Annotated[Path | None, typer.Option("--from", help="Model folder to continue from.")] = None,
    vocabulary: Annotated[int, typer.Option(help="Size of a new tokenizer.")] = 4096,
    width: Annotated[int, typer.Option(help="Hidden size of a new model.")] = 384,
    layers: Annotated[int, typer.Option(help="Layers of a new model.")] = 6,
    batch_tokens: Annotated[int, typer.Option(help="Tokens of one step.")] = 6_144,
    context: Annotated[int, typer.Option(help="Window of the last steps: the context that is really learnt.")] = 2_048,
    repeats: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of tasks to repeat passages of the corpus: they teach copying.")
    ] = 0.0,
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
) -> None:
    """Train tokenizer and target on a corpus. Run it again after a kill: it goes on where it was."""
    from specsched.modelkit.pretrain import NewModel, Pretraining, pretrain

    job = Pretraining(
        corpus=corpus,
        out=out,
        start=start,
        new=NewModel(vocabulary=vocabulary, width=width, layers=layers, context=context),
        tokens=tokens,
        batch_tokens=batch_tokens,
        repeats=repeats,
        seed=seed,
        device=device,
    )
    with TokenProgress("training", tokens) as progress:
        pretrain(job, progress.training)
    console.print(f"model in {out / 'model'}, loss curve in {out / 'loss.png'}")


@one_line_errors
def unloop(
    start: Annotated[Path, typer.Option("--from", help="Model folder.")],
    out: Annotated[Path, typer.Option(help="Folder of the new model.")],
    data: Annotated[Path, typer.Option(help="Prompts to write to: a corpus, a folder of JSON lines, or a file.")],
    rounds: Annotated[int, typer.Option(help="Times that it writes anew.")] = 5,
    prompts: Annotated[int, typer.Option(help="Prompts per class and round.")] = 24,
    rate: Annotated[float, typer.Option(help="Factor on the learning rates of training.")] = 0.2,
    seed: SeedOption = 0,
) -> None:
    """Teach a target to avoid what its own greedy text repeats; elsewhere it keeps to the law that it had."""
    from specsched.modelkit import unloop as kit

    def report(found: kit.Sobriety) -> None:
        console.print(f"round {found.round + 1} of {rounds}: {found.looping:.0%} of greedy completions loop")

    job = kit.Unlooping(start, out, data, rounds=rounds, per_class=prompts, rate=rate, seed=seed)
    kit.unloop(job, report)
    console.print(f"model in {out}")
