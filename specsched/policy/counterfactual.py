"""What a draft that wasn't played would have brought, from teacher forcing it over what was committed.

With w_i = min(1, q(x_i) / p(x_i)) on committed tokens x ~ p, E[Π_{i≤j} w_i] = S_j: each w_i's mean under p is
Σ_x min(p, q), the probability that a token drafted from q is accepted there, and both chains extend their prefix by the
same law. Scalars only, unbiased (POLICY.md, "Counterfactuals"); Π(1 − TV) of the committed path is not. Where the draft
is certain (n-gram) and tokens are coupled, w_i is whether it names the token.
"""

from collections.abc import Sequence
from itertools import pairwise

from specsched.records import Counterfactual


def counterfactual(draft_model: str, weights: Sequence[float], positions: int) -> Counterfactual:
    """Sum up a completion's weights w_i, one per committed token.

    Rounds are begun at every place from which all positions lie within the completion; rounds that its end cuts short
    would be censored, and are left out.
    """
    accepted, rejected = [0.0] * positions, [0.0] * positions
    starts = max(0, len(weights) - positions + 1)
    for start in range(starts):
        survival = 1.0
        for j in range(positions):
            weight = weights[start + j]
            accepted[j] += survival * weight
            rejected[j] += survival * (1.0 - weight)
            survival *= weight
            if survival == 0.0:
                break
    return Counterfactual(draft_model, float(starts), tuple(accepted), tuple(rejected))


def outcome_of(draft_model: str, stands: Sequence[int], positions: int) -> Counterfactual:
    """Sum up how many of `positions` drafted tokens would have stood, by the place that a round was begun at."""
    reached = [sum(stand >= j for stand in stands) for j in range(positions + 1)]  # that saw position j + 1
    rejected = [float(before - after) for before, after in pairwise(reached)]
    return Counterfactual(draft_model, float(len(stands)), tuple(map(float, reached[1:])), tuple(rejected))


def runs(named: Sequence[bool], positions: int) -> list[int]:
    """How many tokens in a row a draft names, by the place it begins at, `positions` at most."""
    found, run = [0] * len(named), 0
    for place in reversed(range(len(named))):
        run = min(run + 1, positions) if named[place] else 0
        found[place] = run
    return found[: max(0, len(named) - positions + 1)]
