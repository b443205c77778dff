"""`specsched bench all`: every benchmark, one after the other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.bench.classifier import measure_classifier
from specsched.cli.bench.contest import ENVIRONMENTS, EnvironmentsOption, Places, PythonOption, ThreadsOption, prepare
from specsched.cli.bench.engine import WHOLE as WHOLE_ENGINE
from specsched.cli.bench.engine import Sizes as EngineSizes
from specsched.cli.bench.engine import measure_engine
from specsched.cli.bench.evaluation import measure_evaluation
from specsched.cli.bench.identity import identical, measure_identity
from specsched.cli.bench.peers import measure_peers
from specsched.cli.bench.policy import measure_policy
from specsched.cli.bench.quantization import measure_quantization
from specsched.cli.bench.random_target import measure_random_target
from specsched.cli.bench.running import CHECK_COLUMNS, check_row, members, run
from specsched.cli.bench.service import QUICK as QUICK_SERVICE
from specsched.cli.bench.service import WHOLE as WHOLE_SERVICE
from specsched.cli.bench.service import Sizes as ServiceSizes
from specsched.cli.bench.service import measure_service
from specsched.cli.bench.stretch import measure_stretch
from specsched.cli.bench.worlds import measure_replay, measure_simulation
from specsched.cli.evaluation import Evaluation
from specsched.cli.options import PoolOption
from specsched.cli.output import one_line_errors, print_table

if TYPE_CHECKING:
    from specsched.engine.load import Progress
    from specsched.modelkit.report import Report
    from specsched.pool.manifest import Pool

WHOLE_WORLDS = Evaluation()


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much `bench all` measures."""

    identity_prompts: int = 200
    identity_tokens: int = 64
    stretch_repeats: int = 3
    match: tuple[int, int, int] = (3, 64, 2)
    """Of the engine and its peers: prompts a class, longest completion, repeats."""
    engine: EngineSizes = WHOLE_ENGINE
    loss_tokens: int = 16_384
    compared_prompts: int = 64
    decisions: int = 3_000
    worlds: Evaluation = WHOLE_WORLDS
    """Of `simulate` and `replay`."""
    recorded: tuple[int, int, float] = (40, 128, 20.0)
    """Of `replay`: prompts a class, longest completion, seconds to measure costs."""
    evaluated_per_class: int = 40
    evaluated_tokens: int = 128
    measured_per_class: int = 2
    service: ServiceSizes = WHOLE_SERVICE


QUICK = Sizes(
    identity_prompts=24,
    identity_tokens=32,
    stretch_repeats=1,
    match=(1, 32, 1),
    engine=EngineSizes(batches=False, acceptance_tokens=32),
    loss_tokens=1_024,
    compared_prompts=8,
    decisions=300,
    worlds=Evaluation(scenario=["stationary", "phase_shift"], seeds=2),
    recorded=(4, 48, 3.0),
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
    threads: ThreadsOption = 1,
    environments: EnvironmentsOption = ENVIRONMENTS,
    python: PythonOption = None,
    out: Annotated[Path, typer.Option(help="Folder for one JSON file per benchmark, and plots.")] = Path("runs/bench"),
) -> None:
    """Run every benchmark; exit 1, and go no further, where greedy tokens differ: speed would mean nothing.

    In this order: greedy identity, the pool's evaluation, engine, engine with a random target, peers, quantization,
    stretch of long texts, classifier, time of a decision, simulate, replay (of paths that it records), service.
    """
    out.mkdir(parents=True, exist_ok=True)
    places = prepare(threads, environments, python, out)
    rows, same = [], True
    for name, measure in _benchmarks(members(pool), QUICK if quick else Sizes(), places).items():
        checks = run(name, measure, out / f"{name}.json", "specsched bench all").checks
        rows += [(name, *check_row(check)) for check in checks]
        same = identical(checks)
        if not same:
            break
    print_table("Checks", ("benchmark", *CHECK_COLUMNS), rows)
    raise typer.Exit(int(not same))


def _benchmarks(pool: "Pool", sizes: Sizes, places: Places) -> Mapping[str, "Callable[[Progress], Report]"]:
    """In the order of the issues; the first one guards the others."""
    from specsched.bench.engine.tournament import Match
    from specsched.bench.peers.process import LLAMACPP, OPENVINO
    from specsched.bench.prompt_set import FOLDER

    classifier = (
        {"classifier": partial(measure_classifier, pool.classifier.path, [FOLDER], 0)} if pool.classifier else {}
    )
    match = Match(*sizes.match)
    compared = (sizes.loss_tokens, sizes.compared_prompts, match.max_tokens)
    return {
        "identity": partial(measure_identity, pool, sizes.identity_prompts, sizes.identity_tokens),
        "evaluate": partial(
            measure_evaluation,
            pool,
            sizes.evaluated_per_class,
            sizes.evaluated_tokens,
            sizes.measured_per_class,
        ),
        "engine": partial(measure_engine, pool, match, places, sizes=sizes.engine),
        "random_target": partial(measure_random_target, pool, match, places),
        "peers": partial(measure_peers, pool, match, places, wanted=(LLAMACPP, OPENVINO)),
        "quantization": partial(measure_quantization, pool, None, *compared, places),
        "stretch": partial(measure_stretch, pool, 1_500, sizes.stretch_repeats),
        **classifier,
        "policy": partial(measure_policy, sizes.decisions),
        "simulate": partial(measure_simulation, sizes.worlds),
        "replay": partial(measure_replay, pool, sizes.recorded, sizes.worlds),
        "service": partial(measure_service, pool, sizes.service),
    }
