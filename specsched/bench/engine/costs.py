"""What verifying costs, from a worker's own profile."""

import math

from specsched.records import WorkerInfo


def verify_ratio(info: WorkerInfo, positions: int = 8) -> float:
    """Profiled cost of verifying some positions of one row ÷ that of one; infinite where it was not profiled."""
    nearest = min((point.context_tokens for point in info.costs.verify), default=0)
    seconds = {p.positions: p.seconds for p in reversed(info.costs.verify) if p.context_tokens == nearest}
    return seconds[positions] / seconds[1] if {1, positions} <= seconds.keys() else math.inf
