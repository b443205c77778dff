"""An evaluation as cells of evidence, for a service that starts cold."""

from collections.abc import Iterator, Mapping

from specsched.modelkit.evaluate import Evaluation
from specsched.policy.memory import Cell


def prior_cells(evaluation: Evaluation, versions: Mapping[str, str]) -> Iterator[Cell]:
    """Yield what was found of every class, draft and position; a path counts once: its rounds are not independent.

    Args:
        evaluation: Of a pool.
        versions: Draft → identity of its arms.
    """
    for (category, temperature), cell in evaluation.cells.items():
        for draft in evaluation.drafts:
            for position, hazard in enumerate(cell.hazards(draft), start=1):
                if hazard is not None:
                    yield Cell(
                        sampled=temperature > 0,
                        coupled=temperature == 0,
                        draft_model=draft,
                        draft_version=versions.get(draft, ""),
                        prompt_class=category,
                        position=position,
                        accepted=hazard * len(cell.traces),
                        rejected=(1 - hazard) * len(cell.traces),
                    )
