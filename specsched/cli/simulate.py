"""`specsched simulate`: policies in synthetic worlds whose truth is known."""

from enum import StrEnum
from typing import Annotated

import typer

from specsched.cli.evaluation import Evaluation, evaluated
from specsched.cli.output import one_line_errors


class Costs(StrEnum):
    """Whose costs a world has."""

    GPU = "gpu"
    CPU = "cpu"


@one_line_errors
@evaluated
def simulate(
    *,
    costs: Annotated[Costs, typer.Option(help="Like those of a GPU, or of a CPU.")] = Costs.GPU,
    evaluation: Evaluation,
) -> None:
    """Score policies in synthetic worlds against what could have been had, in hindsight."""
    from specsched.bench.evaluation.contenders import Contestants
    from specsched.bench.simulation.costs import DRAFTS
    from specsched.bench.simulation.scenarios import SCENARIOS, Drawn
    from specsched.bench.simulation.truth import MAX_GAMMA

    ready = {name: Drawn(one, costs.value, evaluation.requests) for name, one in SCENARIOS.items()}
    evaluation.run("specsched simulate", ready, Contestants(DRAFTS, MAX_GAMMA))
