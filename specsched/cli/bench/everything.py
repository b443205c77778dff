"""`specsched bench all`: every benchmark, one after the other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.bench.evaluation import measure_evaluation
from specsched.cli.bench.identity import identical, measure_identity
from specsched.cli.bench.plain import measure_plain
from specsched.cli.bench.running import members, print_checks, run
from specsched.cli.bench.service import QUICK as QUICK_SERVICE
from specsched.cli.bench.service import WHOLE as WHOLE_SERVICE
from specsched.cli.bench.service import Sizes as ServiceSizes
from specsched.cli.bench.service import measure_service
from specsched.cli.bench.stretch import measure_stretch
from specsched.cli.options import PoolOption
from specsched.cli.output import one_line_errors

if TYPE_CHECKING:
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Check, Report
    from specsched.pool.manifest import Pool


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much `bench all` measures."""

    identity_prompts: int = 200
    identity_tokens: int = 64
    plain_prompts: int = 16
    plain_tokens: int = 96
    stretch_repeats: int = 3
    evaluated_per_class: int = 40
    evaluated_tokens: int = 128
    measured_per_class: int = 2
    service: ServiceSizes = WHOLE_SERVICE


QUICK = Sizes(
    identity_prompts=24,
    identity_tokens=32,
    plain_prompts=8,
    plain_tokens=48,
    stretch_repeats=1,
    evaluated_per_class=3,
    evaluated_tokens=48,
    measured_per_class=1,
    service=QUICK_SERVICE,
)
"""Under ten minutes on two slow cores."""


@one_line_errors
def run_all(
    pool: PoolOption = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: under ten minutes.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for one JSON file per benchmark.")] = Path("runs/bench"),
) -> None:
    """Run every benchmark. Exits 1, and goes no further, where greedy tokens differ: speed would mean nothing."""
    out.mkdir(parents=True, exist_ok=True)
    checks: list[Check] = []
    for name, measure in _benchmarks(members(pool), QUICK if quick else Sizes()).items():
        checks += run(name, measure, out / f"{name}.json", "specsched bench all").checks
        if not identical(checks):
            break
    print_checks(checks)
    raise typer.Exit(int(not identical(checks)))


def _benchmarks(pool: "Pool", sizes: Sizes) -> Mapping[str, "Callable[[Progress], Report]"]:
    """In the order of the issues; the first one guards the others."""
    return {
        "identity": partial(measure_identity, pool, sizes.identity_prompts, sizes.identity_tokens),
        "plain": partial(measure_plain, pool, sizes.plain_prompts, sizes.plain_tokens),
        "stretch": partial(measure_stretch, pool, 1_500, sizes.stretch_repeats),
        "evaluate": partial(
            measure_evaluation,
            pool,
            sizes.evaluated_per_class,
            sizes.evaluated_tokens,
            sizes.measured_per_class,
        ),
        "service": partial(measure_service, pool, sizes.service),
    }
