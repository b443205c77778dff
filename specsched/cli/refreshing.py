"""`specsched models refresh`: a draft learns from what it met where it was weakest."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.options import PoolOption, spread
from specsched.cli.output import console, one_line_errors, print_json, print_table
from specsched.cli.progress import TokenProgress

if TYPE_CHECKING:
    from specsched.modelkit.draft_job import DraftJob
    from specsched.modelkit.refresh import Refreshed
    from specsched.modelkit.weakness import Weakness
    from specsched.pool.manifest import ModelSpec, Pool


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a draft is retrained on, and for how long."""

    tokens: Annotated[int, typer.Option(help="Completion positions to learn from, repeats counted.")] = 200_000
    prompts: Annotated[int, typer.Option(help="Captured prompts per class that the target continues again.")] = 200
    answers: Annotated[int, typer.Option(help="Captured completions per class that it only reads.")] = 500
    others: Annotated[float, typer.Option(help="Share of lessons from the other classes, against forgetting.")] = 0.35
    rate: Annotated[float, typer.Option(help="Factor on the learning rates.")] = 0.3
    max_new_tokens: Annotated[int, typer.Option(help="Longest completion.")] = 128
    seed: Annotated[int, typer.Option(help="Equal seeds give equal weights on a CPU.")] = 0

    def job(self, pool: "Pool", spec: "ModelSpec", classes: tuple[str, ...], capture: Path) -> "DraftJob":
        """Go on from a draft of the pool, for some classes, to a folder beside it."""
        from specsched.modelkit.draft_job import DraftJob

        assert pool.target.path is not None, "a target has a folder"
        assert spec.path is not None, "so has a draft that is a model"
        return DraftJob(
            target=pool.target.path,
            start=spec.path,
            out=spec.path.with_name(f"{spec.id}.part"),
            prompts=capture,
            classes=classes,
            others=self.others,
            per_class=self.prompts,
            answers=self.answers,
            max_new_tokens=self.max_new_tokens,
            tokens=self.tokens,
            rate=self.rate,
            objective="forward_kl",
            seed=self.seed,
        )


@one_line_errors
@spread("lessons", Lessons)
def refresh(
    records: Annotated[Path, typer.Option(help="Acceptance records of a service: a file, or their folder.")],
    capture: Annotated[Path, typer.Option("--from-capture", help="Folder of text that tenants agreed to have kept.")],
    pool: PoolOption = None,
    *,
    classes: Annotated[int, typer.Option(min=1, help="The weakest classes that are looked at.")] = 1,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Name the new version in the manifest if it is better.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    lessons: Lessons,
) -> None:
    """Retrain the draft of the weakest classes on captured text; `specsched drafts load` then takes it up."""
    from specsched.modelkit import refresh as kit
    from specsched.modelkit.weakness import weaknesses
    from specsched.pool.manifest import default_manifest, load_pool
    from specsched.telemetry.sinks.reading import read_acceptance

    members = load_pool(pool or default_manifest())
    trained = [spec.id for spec in members.drafts if spec.kind == "model" and spec.single]
    weak = weaknesses(read_acceptance(records), trained)
    spec, chosen = kit.refreshing(members, weak, classes)
    with TokenProgress(f"refreshing {spec.id}", lessons.tokens) as progress:
        found = kit.refresh(spec, lessons.job(members, spec, chosen, capture), progress.distilling, progress.say)
    adopted = adopt and found.better
    if adopted:
        kit.adopt(members, found)
    if as_json:
        print_json({**asdict(found), "folder": str(found.folder), "classes": chosen, "adopted": adopted})
    else:
        _print(weak, chosen, found)
        _print_advice(found, adopt=adopt)


def _print(weak: "Sequence[Weakness]", chosen: Sequence[str], found: "Refreshed") -> None:
    rows = [(one.prompt_class, one.draft_model, one.acceptance, one.tried) for one in weak]
    print_table("Recorded acceptance, weakest first", ("class", "best draft", "acceptance", "tokens judged"), rows)
    made = [(", ".join(chosen), found.before, found.after, found.folder.name)]
    title = f"{found.draft_model}, on held-out captured prompts"
    print_table(title, ("class", "before", "after", "new version"), made)


def _print_advice(found: "Refreshed", *, adopt: bool) -> None:
    if adopt and found.better:
        line = f"the manifest names it; `specsched drafts load {found.draft_model}` takes it up"
        console.print(line, highlight=False)
    elif adopt:
        console.print("it is no better: the manifest stays as it is")
