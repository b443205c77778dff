"""A recording as cells of evidence: what a policy may be told before its first request."""

from collections.abc import Iterator, Mapping

import numpy as np

from specsched.bench.evaluation.world import Array, Path
from specsched.bench.replay.recording import RecordedPath, Recording
from specsched.policy.memory import Cell


def prior_cells(recording: Recording, versions: Mapping[str, str]) -> Iterator[Cell]:
    """Yield what every draft brings to every class and position; a path counts once: its rounds are not independent.

    Args:
        recording: Of a pool's drafts.
        versions: Draft → identity of its arms.
    """
    cells: dict[tuple[str, bool], list[RecordedPath]] = {}
    for recorded in recording.paths:
        cells.setdefault((recorded.prompt_class, recorded.sampled), []).append(recorded)
    for (prompt_class, sampled), recorded_paths in cells.items():
        rounds = np.sum([_rounds(each.path) for each in recorded_paths], axis=0)  # [2, D, J]
        for draft, (accepted, reached) in zip(recording.head.drafts, rounds.swapaxes(0, 1), strict=True):
            for position in np.flatnonzero(reached).tolist():
                share = float(accepted[position] / reached[position])
                yield Cell(
                    sampled=sampled,
                    coupled=not sampled,
                    draft_model=draft,
                    draft_version=versions.get(draft, ""),
                    prompt_class=prompt_class,
                    position=position + 1,
                    accepted=len(recorded_paths) * share,
                    rejected=len(recorded_paths) * (1 - share),
                )


def _rounds(path: Path) -> Array:
    """Expected outcomes, accepted and reached, of a round of full depth begun at every place, [2, D, J].

    A position that the completion's end cuts off is not reached; one that a draft does not offer is reached and missed,
    as a policy counts it.
    """
    depth = np.arange(path.max_gamma)
    offered = depth < path.offered[..., None]  # [D, L, J]
    stands = np.cumprod(np.where(offered, path.hazards, 0.0), axis=2)
    before = np.concatenate((np.ones((*stands.shape[:2], 1)), stands[..., :-1]), axis=2)
    inside = np.arange(path.tokens)[:, None] + depth < path.tokens  # [L, J]
    return np.asarray(np.stack(((stands * inside).sum(1), (before * inside).sum(1))))
