"""`specsched models refresh`: a draft learns from what it met where it was weakest."""

from pathlib import Path
from typing import Annotated

import typer

from specsched.cli.options import PoolOption
from specsched.cli.output import console, one_line_errors, print_json, print_table
from specsched.cli.progress import TokenProgress


@one_line_errors
def refresh(
    records: Annotated[Path, typer.Option(help="Acceptance records of a service: a file, or their folder.")],
    capture: Annotated[Path, typer.Option("--from-capture", help="Folder of text that tenants agreed to have kept.")],
    pool: PoolOption = None,
    *,
    classes: Annotated[int, typer.Option(min=1, help="The weakest classes that are looked at.")] = 1,
    tokens: Annotated[int, typer.Option(help="Completion positions to learn from, repeats counted.")] = 200_000,
    prompts: Annotated[int, typer.Option(help="Captured prompts per class that the target continues again.")] = 200,
    answers: Annotated[int, typer.Option(help="Captured completions per class that it only reads.")] = 500,
    others: Annotated[float, typer.Option(help="Share of lessons from the other classes, against forgetting.")] = 0.35,
    rate: Annotated[float, typer.Option(help="Factor on the learning rates.")] = 0.3,
    max_new_tokens: Annotated[int, typer.Option(help="Longest completion.")] = 128,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Name the new version in the manifest if it is better.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal weights on a CPU.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Retrain the draft of the weakest classes on captured text; `specsched drafts load` then takes it up."""
    from dataclasses import asdict

    from specsched.modelkit import refresh as kit
    from specsched.modelkit.draft_job import DraftJob
    from specsched.modelkit.weakness import weaknesses
    from specsched.pool.manifest import default_manifest, load_pool
    from specsched.telemetry.sinks.reading import read_acceptance

    members = load_pool(pool or default_manifest())
    trained = [spec.id for spec in members.drafts if spec.kind == "model" and spec.single]
    weak = weaknesses(read_acceptance(records), trained)
    spec, chosen = kit.refreshing(members, weak, classes)
    assert members.target.path is not None, "a target has a folder"
    assert spec.path is not None, "so has a draft that is a model"
    job = DraftJob(
        target=members.target.path,
        start=spec.path,
        out=spec.path.with_name(f"{spec.id}.part"),
        prompts=capture,
        classes=chosen,
        others=others,
        per_class=prompts,
        answers=answers,
        max_new_tokens=max_new_tokens,
        tokens=tokens,
        rate=rate,
        objective="forward_kl",
        seed=seed,
    )
    with TokenProgress(f"refreshing {spec.id}", tokens) as progress:
        found = kit.refresh(spec, job, progress.distilling, progress.say)
    adopted = adopt and found.better
    if adopted:
        kit.adopt(members, found)
    if as_json:
        print_json({**asdict(found), "folder": str(found.folder), "classes": chosen, "adopted": adopted})
        return
    rows = [(one.prompt_class, one.draft_model, one.acceptance, one.tried) for one in weak]
    print_table("Recorded acceptance, weakest first", ("class", "best draft", "acceptance", "tokens judged"), rows)
    made = [(", ".join(chosen), found.before, found.after, found.folder.name)]
    print_table(f"{spec.id}, on held-out captured prompts", ("class", "before", "after", "new version"), made)
    if adopted:
        console.print(f"the manifest names it; `specsched drafts load {spec.id}` takes it up", highlight=False)
    elif adopt:
        console.print("it is no better: the manifest stays as it is")
