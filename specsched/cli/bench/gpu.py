"""`specsched bench gpu`: table 6, the engine at the shapes that GPUs serve, with random weights."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.bench.running import FileOption, print_checks, run
from specsched.cli.output import console, one_line_errors

if TYPE_CHECKING:
    import torch

    from specsched.bench.gpu.measure import GpuJob, Speed, VerifyCost
    from specsched.bench.gpu.shapes import Pairing
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Check, Report, Table

NO_GPU = "no GPU is here, so there is nothing to measure; --shapes tiny runs the same code on a CPU"
_BATCHES = (1, 8, 32)


@one_line_errors
def gpu(
    shapes: Annotated[str, typer.Option(help="8b-1b: target and draft as served; tiny: to try the code.")] = "8b-1b",
    device: Annotated[str, typer.Option(help="cuda, cuda:N or cpu; auto: a GPU where there is one.")] = "auto",
    gamma: Annotated[int, typer.Option(min=1, max=16, help="Drafted tokens a round.")] = 4,
    context_tokens: Annotated[int, typer.Option(min=16, help="Tokens that each row has before.")] = 512,
    max_tokens: Annotated[int, typer.Option(min=8, help="Tokens that each row decodes.")] = 128,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each verification; medians are told.")] = 20,
    json_file: FileOption = None,
    plot_file: Annotated[Path | None, typer.Option("--plot", help="Draw both tables into this file.")] = None,
) -> None:
    """Time verification against the bytes it moves, and plain against speculative decoding, on a GPU."""
    from specsched.bench.gpu.measure import GpuJob
    from specsched.bench.gpu.shapes import pairing_of
    from specsched.engine.device import choose_device

    pairing = pairing_of(shapes)
    where = choose_device(device)
    if where.type == "cpu" and shapes != "tiny":
        console.print(NO_GPU)
        return
    copy_bytes = 1 << (24 if where.type == "cpu" else 30)
    job = GpuJob(_BATCHES, gamma, context_tokens, max_tokens, repeats=repeats, copy_bytes=copy_bytes)
    report = run("gpu", partial(measure_gpu, pairing, where, job, shapes), json_file, "specsched bench gpu")
    print_checks(report.checks)
    if plot_file is not None:
        from specsched.bench.gpu.plots import plot

        plot(report.tables["verify"].records(), report.tables["speed"].records(), plot_file)


def measure_gpu(pairing: "Pairing", where: "torch.device", job: "GpuJob", name: str, say: "Progress") -> "Report":
    """Measure a pairing of that name, and report."""
    from specsched.bench.gpu.measure import copy_bandwidth, speeds, verify_costs
    from specsched.bench.gpu.shapes import build
    from specsched.engine.gpu.choose import BUFFERED, CAPTURED
    from specsched.modelkit.report import Report

    style = CAPTURED if where.type == "cuda" else BUFFERED
    say("copy bandwidth")
    bandwidth = copy_bandwidth(where, job)
    say("making models")
    context = job.context_tokens + job.max_tokens + job.gamma + 1
    bench = build(pairing, where, style, max_rows=max(job.batches), context=context, rates=job.rates)
    say("verification")
    costs = verify_costs(bench, job, bandwidth)
    say("decoding")
    found = speeds(bench, job)
    title = f"{name} on {where.type}, random weights, rounds {style.name}, copy {bandwidth / 1e9:.0f} GB/s"
    return Report({"verify": _verify_table(costs, title), "speed": _speed_table(found, title)}, _checks(costs, found))


def _verify_table(costs: "list[VerifyCost]", title: str) -> "Table":
    from specsched.modelkit.report import Table

    columns = ("rows", "positions", "verify_ms", "uncaptured_ms", "bytes_ms", "over_bytes")
    lines = [
        (c.rows, c.positions, 1e3 * c.seconds, 1e3 * c.uncaptured_seconds, 1e3 * c.bound_seconds, c.over_bound)
        for c in costs
    ]
    return Table(f"Verification against its bytes ÷ copy bandwidth: {title}", columns, lines)


def _speed_table(found: "list[Speed]", title: str) -> "Table":
    from specsched.modelkit.report import Table

    columns = ("rows", "plain_tok_s", "speculative_tok_s", "over_plain", "draft_step_ms", "reads_per_round")
    lines = [
        (s.rows, s.plain_tokens_per_second, s.tokens_per_second, s.over_plain, 1e3 * s.draft_step_seconds,
         s.reads_per_round)
        for s in found
    ]  # fmt: skip
    return Table(f"Decoding under made-up acceptance: {title}", columns, lines)


def _checks(costs: "list[VerifyCost]", found: "list[Speed]") -> "list[Check]":
    from specsched.modelkit.report import Check

    return [
        Check("gpu_verify_over_copy_bound", max(cost.over_bound for cost in costs), 1.5, at_most=True),
        Check("gpu_uncaptured_over_captured", min(c.uncaptured_seconds / c.seconds for c in costs), 1.0),
        Check("gpu_speculation_over_plain", found[0].over_plain, 1.6),
        Check("gpu_reads_per_round", max(each.reads_per_round for each in found), 1.0, at_most=True),
    ]
