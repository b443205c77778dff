"""`specsched simulate`: policies in synthetic worlds whose truth is known."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from specsched.cli.evaluation import Evaluation, evaluated
from specsched.cli.output import one_line_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specsched.bench.evaluation.contenders import Contestants
    from specsched.bench.evaluation.experiment import Scenario


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
    evaluation.run("specsched simulate", *synthetic(costs, evaluation.requests))


def synthetic(costs: Costs, requests: int) -> "tuple[Mapping[str, Scenario], Contestants]":
    """Return the ready scenarios, with so many requests a world, and who can play in them."""
    from specsched.bench.evaluation.contenders import Contestants
    from specsched.bench.simulation.costs import DRAFTS
    from specsched.bench.simulation.scenarios import SCENARIOS, Drawn
    from specsched.bench.simulation.truth import MAX_GAMMA

    ready = {name: Drawn(one, costs.value, requests) for name, one in SCENARIOS.items()}
    return ready, Contestants(DRAFTS, MAX_GAMMA)
