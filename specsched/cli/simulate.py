"""`specsched simulate`: policies in synthetic worlds whose truth is known."""

from enum import StrEnum
from typing import Annotated

import typer

from specsched.cli.evaluation import (
    BaselinesOption,
    FileOption,
    PlotsOption,
    PoliciesOption,
    ProcessesOption,
    RequestsOption,
    ScenariosOption,
    SeedsOption,
    evaluate,
    named,
)
from specsched.cli.output import one_line_errors


class Costs(StrEnum):
    """Whose costs a world has."""

    GPU = "gpu"
    CPU = "cpu"


@one_line_errors
def simulate(
    scenario: ScenariosOption = None,
    *,
    costs: Annotated[Costs, typer.Option(help="Like those of a GPU, or of a CPU.")] = Costs.GPU,
    seeds: SeedsOption = 20,
    requests: RequestsOption = 300,
    policy: PoliciesOption = None,
    baselines: BaselinesOption = False,
    processes: ProcessesOption = 1,
    json_file: FileOption = None,
    plots: PlotsOption = None,
) -> None:
    """Score policies in synthetic worlds against what could have been had, in hindsight."""
    from specsched.bench.evaluation.contenders import Contestants
    from specsched.bench.evaluation.experiment import Job
    from specsched.bench.simulation.costs import DRAFTS
    from specsched.bench.simulation.scenarios import SCENARIOS, Drawn
    from specsched.bench.simulation.truth import MAX_GAMMA

    chosen = named(scenario, {name: Drawn(one, costs.value, requests) for name, one in SCENARIOS.items()})
    contenders = Contestants(DRAFTS, MAX_GAMMA).chosen(policy or ["adaptive"], baselines=baselines)
    evaluate(Job(chosen, contenders, seeds, processes), "specsched simulate", json_file, plots)
