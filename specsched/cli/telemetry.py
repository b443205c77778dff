"""`specsched replay --from-telemetry`: the logged policy again, and others off-policy."""

import json
from pathlib import Path

from specsched.cli.options import configuration, manifest_of
from specsched.cli.output import console, errors, print_table


def from_telemetry(source: Path, config: Path | None, draws: int, json_file: Path | None) -> None:
    """Run the logged policy again; estimate what beginning with each draft would have brought.

    Raises:
        SetupError: no records, or a configuration that cannot be used.
    """
    from rich.progress import Progress

    from specsched.bench.replay.logged import fitted_costs, runs_of
    from specsched.bench.replay.offpolicy import estimate, logged_value, redo
    from specsched.cli.wiring import make_classifier, make_snapshot
    from specsched.modelkit.report import Check, Report, Table
    from specsched.pool.manifest import load_pool
    from specsched.telemetry.sinks.reading import read_acceptance

    settings = configuration(config)
    pool = load_pool(manifest_of(settings))
    classes = make_classifier(settings, pool).classes
    runs = runs_of(read_acceptance(source))
    costs = fitted_costs(runs)
    redone = []
    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task("deciding again", total=sum(len(run.requests) for run in runs))
        for run in runs:
            policy = make_snapshot(settings, pool, classes).policy
            redone += redo(run, policy, costs, draws, lambda: progress.advance(task))
    logged = logged_value(redone)
    rows = [("as logged", logged.value, logged.low, logged.high, float(len(redone)))]
    for draft in sorted({name for one in redone for name in one.shares}):
        value, requests = estimate(redone, draft)
        if requests:  # a draft that was likely now and then, and never drawn, says nothing
            rows.append((draft, value.value, value.low, value.high, requests))
    columns = ("begins_with", "over_plain", "low", "high", "effective_requests")
    table = Table("Goodput × plain decoding, off-policy, with 95 % interval", columns, rows)
    print_table(table.title, table.columns, table.rows)
    shares = {name: sum(getattr(one, name) for one in redone) / len(redone) for name in _SAME}
    report = Report({"off_policy": table}, [Check(name, share, 1.0) for name, share in shares.items()])
    print_table("Decided again as logged", ("share of decisions", "value"), list(shares.items()))
    if shares["same_seed"] < 1:
        console.print("the log does not begin with this policy's first decision, or its configuration was another")
    if json_file:
        tree = report.as_json("specsched replay --from-telemetry")
        json_file.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")


_SAME = ("same_seed", "same_beliefs", "same_arm")
