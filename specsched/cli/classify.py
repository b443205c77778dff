"""`specsched classify …`: the prompt classifier."""

from pathlib import Path
from typing import Annotated

import typer

from specsched.cli.output import console, one_line_errors, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Train and evaluate the prompt classifier.")

SeedOption = Annotated[int, typer.Option(help="Equal seeds give equal weights.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
@one_line_errors
def train(
    data: Annotated[Path, typer.Option(help="Folder with train.jsonl[.zst]: prompt, category, source.")],
    out: Annotated[Path, typer.Option(help="File of the new classifier.")],
    seed: SeedOption = 0,
) -> None:
    """Train on a folder's train split and on wordings of our own; takes minutes."""
    from specsched.classify.examples import training_examples
    from specsched.classify.train import train as fit
    from specsched.classify.weights import save_weights

    with console.status("training"):
        save_weights(fit(training_examples(data), seed), out)
    console.print(f"classifier in {out}, {out.stat().st_size:,} bytes")


@app.command()
@one_line_errors
def evaluate(
    data: Annotated[list[Path], typer.Option(help="Folder of labelled prompts; again for more. train.* is left out.")],
    classifier: Annotated[Path | None, typer.Option(help="Classifier; the reference one when left out.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Accuracy, macro-F1 and calibration per source, seen in training or not, and the time of a call."""
    from dataclasses import asdict

    from specsched.classify.evaluate import evaluate as score
    from specsched.classify.evaluate import measure_latency
    from specsched.classify.examples import held_out_examples
    from specsched.classify.linear import LinearClassifier

    loaded = LinearClassifier.load(classifier or _reference())
    examples = [example for folder in data for example in held_out_examples(folder)]
    scores = score(loaded, examples, loaded.sources)
    latency = measure_latency(loaded, examples)
    if as_json:
        found = {"scores": [asdict(s) for s in scores], "latency_ms": asdict(latency), "version": loaded.version}
        print_json(found)
        return
    rows = [(s.source, "yes" if s.seen else "no", s.prompts, s.accuracy, s.f1, s.ece) for s in scores]
    columns = ("source", "in training", "prompts", "accuracy", "macro-F1", "ECE")
    print_table(f"Classifier {loaded.version}", columns, rows)
    console.print(f"2,000 characters: p50 {latency.p50:.2f} ms, p99 {latency.p99:.2f} ms")


@app.command("leave-one-out")
@one_line_errors
def leave_one_out(
    data: Annotated[Path, typer.Option(help="Folder with train.jsonl[.zst].")],
    seed: SeedOption = 0,
    *,
    as_json: JsonOption = False,
) -> None:
    """Train without each source in turn and score on it: what a new source is likely to meet."""
    from specsched.classify.examples import training_examples
    from specsched.classify.train import train_without

    with console.status("training once per source"):
        found = train_without(training_examples(data), seed)
    if as_json:
        print_json([{"source": name, "prompts": n, "accuracy": accuracy} for name, (n, accuracy) in found.items()])
    else:
        rows = [(name, n, accuracy) for name, (n, accuracy) in found.items()]
        print_table("Left out of training", ("source", "prompts and variants", "accuracy"), rows)


def _reference() -> Path:
    from specsched.pool.manifest import default_manifest

    return default_manifest().with_name("classifier.skops")
