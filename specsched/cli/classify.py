"""`specsched classify …`: the prompt classifier."""

from pathlib import Path
from typing import Annotated

import typer

from specsched.cli.access import TokenOption
from specsched.cli.bench.running import FileOption, print_checks, run
from specsched.cli.operating import ADMIN_ADDRESS, AdminOption, ask
from specsched.cli.output import console, one_line_errors

app = typer.Typer(no_args_is_help=True, help="Train and evaluate the prompt classifier; undo what labels made of it.")

SeedOption = Annotated[int, typer.Option(help="Equal seeds give equal weights.")]


@app.command()
@one_line_errors
def train(
    data: Annotated[Path, typer.Option(help="Folder with train.jsonl[.zst]: prompt, category, source.")],
    out: Annotated[Path, typer.Option(help="File of the new classifier.")],
    seed: SeedOption = 0,
) -> None:
    """Train on a folder's train split, and on wordings of our own for those of its classes that are built in.

    Categories are the classes; any names will do. Takes minutes.
    """
    from specsched.classify.examples import training_examples
    from specsched.classify.train import train as fit
    from specsched.classify.weights import save_weights
    from specsched.pool.weights import sha256_of

    with console.status("training"):
        save_weights(fit(training_examples(data), seed), out)
    console.print(f"classifier in {out}, {out.stat().st_size:,} bytes, SHA-256 {sha256_of(out)}")


@app.command()
@one_line_errors
def evaluate(
    data: Annotated[list[Path], typer.Option(help="Folder of labelled prompts; again for more.")],
    classifier: Annotated[Path | None, typer.Option(help="Classifier; the reference one when left out.")] = None,
    seed: SeedOption = 0,
    json_file: FileOption = None,
) -> None:
    """Accuracy, macro-F1 and calibration per source, doubt, and the time of a call.

    Where a folder has a train split, each of its sources is left out of a training in turn and scored: what a new
    source is likely to meet, and what to tune by. Takes minutes; leave such folders out to score this classifier only.
    """
    from functools import partial

    from specsched.cli.bench.classifier import measure_classifier
    from specsched.pool.manifest import default_manifest

    path = classifier or default_manifest().with_name("classifier.skops")
    report = run("classifier", partial(measure_classifier, path, data, seed), json_file, "specsched classify evaluate")
    print_checks(report.checks)


@app.command()
@one_line_errors
def rollback(
    address: AdminOption = ADMIN_ADDRESS,
    token_file: TokenOption = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every correction, not the last one alone.")] = False,
) -> None:
    """Take back what callers' labels made of a running service's classifier (`classifier.online_correction`)."""
    done = ask(address, token_file, lambda client: client.rollback_classifier(everything=everything))
    console.print(f"rolled back to {done.version}" if done.rolled_back else "no correction to take back")
