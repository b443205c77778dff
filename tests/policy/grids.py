"""Cost grids with round numbers."""

from specsched.records import CostGrid, CostPoint, DraftCost


def grid(*, step=0.2, slope=0.05, drafts=("good", "bad")):
    """V(n) = 1 + slope · (n − 1), drafts of `step` a position, no overhead."""
    verify = tuple(CostPoint(n, 64, 1 + slope * (n - 1)) for n in (1, 2, 5, 9, 17, 33, 65))
    return CostGrid(1, verify, tuple(DraftCost(name, 0.0, (CostPoint(1, 64, step),)) for name in drafts))
