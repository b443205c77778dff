"""Task arithmetic: what one model learnt beyond another, added to a third (Ilharco et al. 2023, arXiv 2212.04089).

θ = θ_start + scale · (θ_plus − θ_minus). A specialist that goes on from a new general draft keeps part of what its
predecessor had beyond the general draft of then.
"""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from specsched.errors import SetupError
from specsched.modelkit.export import export
from specsched.modelkit.language_model import load_language_model
from specsched.pool.compatibility import check_vocabulary


@dataclass(frozen=True, slots=True)
class Merge:
    """Three model folders of one form and vocabulary, and where the merged one goes."""

    start: Path
    plus: Path
    minus: Path
    scale: float
    out: Path


def merge(job: Merge) -> None:
    """Write the merged model.

    Raises:
        SetupError: a folder is no model, or models differ in vocabulary or form.
    """
    network = load_language_model(job.start).network
    weights = network.state_dict()
    plus, minus = (_weights_like(job.start, weights, folder) for folder in (job.plus, job.minus))
    network.load_state_dict({name: ours + job.scale * (plus[name] - minus[name]) for name, ours in weights.items()})
    export(network, job.start, job.out)


def _weights_like(start: Path, ours: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    check_vocabulary(start, folder)
    theirs: dict[str, Tensor] = load_language_model(folder).network.state_dict()
    unlike = [name for name in ours.keys() | theirs.keys() if _shape(ours, name) != _shape(theirs, name)]
    if unlike:
        raise SetupError(f"{folder} is of another form than {start}: {min(unlike)} differs")
    return theirs


def _shape(weights: dict[str, Tensor], name: str) -> tuple[int, ...]:
    return tuple(weights[name].shape) if name in weights else ()
