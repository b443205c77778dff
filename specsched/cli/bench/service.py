"""`specsched bench service`: what the service adds to the engine, and how the scheduler grows."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.bench.contest import ThreadsOption
from specsched.cli.bench.running import FileOption, members, print_checks, run
from specsched.cli.environment import apply, compute_environment
from specsched.cli.options import PoolOption
from specsched.cli.output import one_line_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specsched.bench.service.cost import Cost
    from specsched.bench.service.over_engine import Load, LoadJob, Race
    from specsched.bench.service.scale import Point
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Check, Report, Table
    from specsched.pool.manifest import Pool

_SLOW_ROUND_SECONDS = 0.04
"""Of the fake workers whose number grows: slow enough that they, not the scheduler, bound the calls."""
_SLOW_ROWS = 8


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    calls: int = 400
    """Through the scheduler, each time."""
    repeats: int = 3
    max_tokens: int = 96
    loaded_calls: int = 80
    workers: "tuple[int, ...]" = (1, 2, 4)
    streams: "tuple[int, ...]" = (8, 64, 256)
    drafts: "tuple[int, ...]" = (1, 8, 32)
    classes: "tuple[int, ...]" = (8, 32)


WHOLE = Sizes()
QUICK = Sizes(100, 1, 48, 24, (1, 4), (8, 64), (32,), (32,))
"""About three minutes."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All that was measured."""

    cost: "Cost"
    workers: "Sequence[Point]"
    growth: "dict[str, Point]" = field(default_factory=dict)
    races: "Sequence[Race]" = ()
    loads: "Sequence[Load]" = ()


@one_line_errors
def service(
    pool: PoolOption = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: about three minutes.")] = False,
    threads: ThreadsOption = 1,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw into this file.")] = None,
    json_file: FileOption = None,
) -> None:
    """Measure what the service adds to the engine, what a call costs the scheduler, and how it grows."""
    apply(compute_environment(threads))
    measure = partial(measure_service, members(pool), QUICK if quick else WHOLE, plot=plot)
    report = run("service", measure, json_file, "specsched bench service")
    print_checks(report.checks)


def measure_service(pool: "Pool", sizes: Sizes, say: "Progress", plot: Path | None = None) -> "Report":
    """Measure, draw and report."""
    from specsched.bench.service.plots import plot as draw
    from specsched.modelkit.report import Report

    figures = asyncio.run(_measure(pool, sizes, say))
    if plot is not None:
        draw(figures.cost, figures.workers, figures.loads, plot)
    tables = {"over_engine": _races(figures), "load": _loads(figures), "cost": _cost(figures), "scale": _scale(figures)}
    return Report(tables, _checks(figures))


async def _measure(pool: "Pool", sizes: Sizes, say: "Progress") -> Figures:
    from specsched.bench.service.cost import CostJob, measure_cost
    from specsched.bench.service.over_engine import LoadJob
    from specsched.bench.service.scale import Setting, measure_point
    from specsched.wire.garbage import spare_what_is_loaded

    spare_what_is_loaded()  # callers that pause would see slow messages
    with tempfile.TemporaryDirectory(prefix="specsched-") as name:
        folder = Path(name)
        cost = await measure_cost(pool.manifest, folder, CostJob(sizes.calls, sizes.repeats), say)
        workers, growth = [], {}
        for count in sizes.workers:
            say(f"{count} workers")
            setting = Setting(
                count, 12 * count, round_seconds=_SLOW_ROUND_SECONDS, rows=_SLOW_ROWS, drafts=len(pool.drafts)
            )
            workers.append(await measure_point(pool, folder, setting, count * sizes.calls // 4))
        settings = {f"{n} streams": Setting(streams=n) for n in sizes.streams}
        settings |= {f"{n} drafts": Setting(drafts=n) for n in sizes.drafts}
        settings |= {f"{n} classes": Setting(classes=n) for n in sizes.classes}
        for label, setting in settings.items():
            say(label)
            growth[label] = await measure_point(pool, folder, setting, sizes.calls)
    races, loads = await _real(pool, LoadJob(sizes.max_tokens, sizes.repeats, calls=sizes.loaded_calls), say)
    return Figures(cost, workers, growth, races, loads)


async def _real(pool: "Pool", job: "LoadJob", say: "Progress") -> "tuple[list[Race], list[Load]]":
    """Serve the pool's own models, beside the same models in this process."""
    import os

    from specsched.bench.prompt_set import load_prompts
    from specsched.bench.reference import draw_questions, tokenizer_of
    from specsched.bench.served import ServedProcess
    from specsched.bench.service.over_engine import race, under_load
    from specsched.engine.load import load_engine
    from specsched.engine.settings import EngineSettings
    from specsched.policy.controller import PlannedController
    from specsched.wire.garbage import spare_what_is_loaded

    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    questions = draw_questions(tokenizer_of(pool), load_prompts(), 64, room_tokens=512)
    settings = EngineSettings(profile_seconds=0.0, threads=threads)
    engine = load_engine(pool, settings, lambda _costs: PlannedController(), say)
    spare_what_is_loaded()
    arguments = ["--pool", str(pool.manifest)]
    async with ServedProcess(arguments, {"SPECSCHED__WORKERS__THREADS": str(threads)}) as served:
        return await race(served, engine, questions, job, say), await under_load(served, questions, job, say)


def _checks(figures: Figures) -> "list[Check]":
    from specsched.bench.service.scale import efficiency
    from specsched.modelkit.report import Check

    cost = figures.cost
    return [
        Check("service_over_engine", min(race.ratio for race in figures.races), 0.97),
        Check("service_tokens_equal", min(float(race.same) for race in figures.races), 1.0),
        Check("scheduler_cpu_seconds_per_call", cost.scheduler_seconds, 0.004, at_most=True),
        Check("scheduler_over_bare_relay", cost.over_relay, 1.6, at_most=True),
        Check("scheduler_p99_seconds", cost.own_quantile(0.99), 0.005, at_most=True),
        Check("workers_scaling_efficiency", efficiency(figures.workers), 0.9),
    ]


def _races(figures: Figures) -> "Table":
    from specsched.modelkit.report import Table

    rows = [
        (r.batch, r.service_tokens_per_second, r.engine_tokens_per_second, r.ratio, "yes" if r.same else "no")
        for r in figures.races
    ]
    title = "Plain decoding through gRPC against the engine in this process, in turns"
    return Table(title, ("at_once", "service_tok_s", "engine_tok_s", "ratio", "same"), rows)


def _loads(figures: Figures) -> "Table":
    from specsched.modelkit.report import Table

    columns = ("load", "calls_s", "first_p50_ms", "first_p99_ms", "token_p50_ms", "token_p99_ms", "scheduler_mib")
    rows = [
        (
            f"{load.share:.0%}",
            load.calls_per_second,
            1e3 * load.first(0.5),
            1e3 * load.first(0.99),
            1e3 * load.per_token(0.5),
            1e3 * load.per_token(0.99),
            load.scheduler_bytes / 2**20,
        )
        for load in figures.loads
    ]
    return Table("Calls that arrive at random, at shares of what the service completes", columns, rows)


def _cost(figures: Figures) -> "Table":
    from specsched.modelkit.report import Table

    cost = figures.cost
    rows = [
        ("scheduler, processor time per call, ms", 1e3 * cost.scheduler_seconds),
        ("bare relay of the same messages, ms", 1e3 * cost.relay_seconds),
        ("scheduler × relay", cost.over_relay),
        ("capacity, calls/s", cost.capacity_per_second),
        *((f"a message's way at half of it, p{100 * q:.0f}, ms", 1e3 * cost.own_quantile(q)) for q in (0.5, 0.9, 0.99)),
    ]
    return Table("Calls of eight chunks between real callers and fake workers", ("what", "value"), rows)


def _scale(figures: Figures) -> "Table":
    from specsched.modelkit.report import Table

    slow = f"{_SLOW_ROWS} rows, {1e3 * _SLOW_ROUND_SECONDS:.0f} ms a round"
    points = {f"{point.setting.workers} workers, {slow}": point for point in figures.workers} | figures.growth
    rows = [
        (
            label,
            point.setting.workers,
            point.setting.streams,
            point.setting.drafts,
            point.setting.classes,
            point.calls_per_second,
            1e3 * point.cpu_seconds,
            1e3 * point.p50_seconds,
            point.resident_bytes / 2**20,
        )
        for label, point in points.items()
    ]
    columns = ("what", "workers", "streams", "drafts", "classes", "calls_s", "cpu_ms", "call_p50_ms", "scheduler_mib")
    return Table("The scheduler alone, with fake workers", columns, rows)
